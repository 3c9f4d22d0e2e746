package oauthapi

import (
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// How many attempts from an address may fail: limitBurst at once, and then one per limitEvery. It
// does not matter how many fail concurrently, so that one user of an address cannot lock out the
// others for longer.
const (
	limitBurst = 30
	limitEvery = 2 * time.Second
	// limitAddresses is how many addresses are remembered: those with the most recent failures.
	limitAddresses = 1 << 15
)

// A limiter knows which addresses fail too often, by the generic cell rate algorithm. It does not
// limit requests without an address.
type limiter struct {
	mu     sync.Mutex // of writers
	failed *lru.Cache[string, failures]
}

// failures are the failures of an address.
type failures struct {
	until   time.Time // when all of them are forgotten
	limited bool      // they exceeded the limit since they began
}

func newLimiter() *limiter {
	failed, _ := lru.New[string, failures](limitAddresses) // fails only for size 0
	return &limiter{failed: failed}
}

// wait returns how long an address must wait before its next attempt, or 0.
func (l *limiter) wait(address string, now time.Time) time.Duration {
	if l.failed.Len() == 0 {
		return 0
	}
	known, ok := l.failed.Peek(addressBlock(address))
	if !ok {
		return 0
	}
	return known.wait(now)
}

func (f failures) wait(now time.Time) time.Duration {
	return max(0, f.until.Sub(now)-(limitBurst-1)*limitEvery)
}

// fail counts a failed attempt. begun reports whether the address is limited now for the first time
// since its earlier failures were forgotten.
func (l *limiter) fail(address string, now time.Time) (begun bool) {
	address = addressBlock(address)
	if address == "" {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f, _ := l.failed.Peek(address)
	if f.until.Before(now) {
		f = failures{until: now}
	}
	f.until = f.until.Add(limitEvery)
	if most := now.Add(limitBurst * limitEvery); f.until.After(most) { // several failed concurrently
		f.until = most
	}
	begun = !f.limited && f.wait(now) > 0
	f.limited = f.limited || begun
	l.failed.Add(address, f)
	return begun
}

// addressBlock returns the addresses that are counted together: for IPv6 the network of one
// customer, who has all of its addresses (RFC 6177). It is "" for anything but an IP address, such
// as a Unix socket.
func addressBlock(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	prefix, _ := ip.WithZone("").Prefix(64)
	return prefix.String()
}
