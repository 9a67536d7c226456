// Package egress gives a network namespace a way out without changing anything on the host: no
// forwarding, no firewall rule, no address. Inside the namespace is a TUN device with the
// default route; its packets end in a TCP/IP stack in this program, which dials out by ordinary
// sockets of the host.
//
//	pod -> bridge -> default route -> egress0 (TUN) -> user-space stack -> net.Dial on the host
//
// TCP and UDP over IPv4 are carried; ICMP is answered for the gateway alone, and IPv6 has no
// route, so that programs fall back at once. No address translation is needed: the stack answers
// whatever source address sent the packet, and the namespace routes the answer to its pod.
//
// It owns the device, its addresses and routes, and knows nothing of pods or builds. What the
// namespace may not reach (the host's own loopback services) is in refuse.go.
package egress
