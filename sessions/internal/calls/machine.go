package calls

import "net/netip"

// IsThisMachine reports whether a host is this machine, to which no connection needs TLS.
func IsThisMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
