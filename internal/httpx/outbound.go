package httpx

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"
)

// maxRedirects bounds how often an answer may send an outbound request on.
const maxRedirects = 5

// Outbound is a client for URLs that users choose. It connects to public addresses alone, and to those of the allowed
// networks: what a name resolves to is judged when the connection is made, so that a name cannot change its mind. It uses no
// proxy, follows up to five redirects on the same host, and keeps no connection. The caller bounds time and bodies.
func Outbound(allowed []netip.Prefix) *http.Client {
	dialer := OutboundDialer(allowed)
	return &http.Client{
		Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, TLSHandshakeTimeout: 10 * time.Second,
			MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("it redirects more than %d times", maxRedirects)
			}
			if !sameServer(r.URL, via[0].URL) {
				return errors.New("it redirects to another server, which would get headers that are not meant for it")
			}
			return nil
		},
	}
}

// OutboundDialer connects as Outbound does.
func OutboundDialer(allowed []netip.Prefix) *net.Dialer {
	return &net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if !mayCall(at.Addr(), allowed) {
			return fmt.Errorf("%s is no public address, and the administrator has not allowed its network (--call-network)", at.Addr())
		}
		return nil
	}}
}

func sameServer(a, b *url.URL) bool { return a.Scheme == b.Scheme && a.Host == b.Host }

// special are networks that are not public and that package netip does not tell (IANA's registries of special-purpose
// addresses), and those in which another address may be hidden.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("100.64.0.0/10"),   // shared by carriers
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("::/96"),           // IPv4 in IPv6
	netip.MustParsePrefix("64:ff9b::/96"),    // NAT64
	netip.MustParsePrefix("64:ff9b:1::/48"),  // NAT64 of one's own
	netip.MustParsePrefix("100::/64"),        // discarded
	netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4
	netip.MustParsePrefix("fec0::/10"),       // site-local
}

// mayCall reports a public address, or one of the allowed networks.
func mayCall(a netip.Addr, allowed []netip.Prefix) bool {
	a = a.Unmap().WithZone("")
	contains := func(p netip.Prefix) bool { return p.Contains(a) }
	return slices.ContainsFunc(allowed, contains) || a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(special, contains)
}

// IsPublic reports an address of the public network.
func IsPublic(a netip.Addr) bool { return mayCall(a, nil) }
