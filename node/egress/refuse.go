package egress

import "net/netip"

// never are destinations that no namespace may reach through the host.
var never = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),      // "this host": Linux connects it to loopback
	netip.MustParsePrefix("127.0.0.0/8"),    // the host's own loopback services
	netip.MustParsePrefix("169.254.0.0/16"), // link-local: clouds give credentials of the machine there
	netip.MustParsePrefix("224.0.0.0/4"),    // multicast
	netip.MustParsePrefix("240.0.0.0/4"),    // reserved, and broadcast
}

// refused reports whether a destination may not be dialled. The gateway's network is refused as
// a whole: its DNS is answered before this question is asked.
func (o Options) refused(to netip.Addr) bool {
	if o.Network.Contains(to) {
		return true
	}
	for _, list := range [][]netip.Prefix{never, o.Refuse} {
		for _, p := range list {
			if p.Contains(to) {
				return true
			}
		}
	}
	return false
}
