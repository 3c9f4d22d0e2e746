package oauthapi

import (
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// How many attempts of an address may fail: limitBurst at once, and one each limitEvery.
const (
	limitBurst = 30
	limitEvery = 2 * time.Second
	// limitAddresses is how many addresses are remembered: those that failed last.
	limitAddresses = 1 << 15
)

// A limiter knows which addresses fail too often, by the generic cell rate algorithm: of each,
// the time at which all of its failures are forgotten.
type limiter struct {
	now   func() time.Time
	mu    sync.Mutex // of writers
	until *lru.Cache[string, time.Time]
}

func newLimiter(now func() time.Time) *limiter {
	until, _ := lru.New[string, time.Time](limitAddresses) // its size is no mistake
	return &limiter{now: now, until: until}
}

// wait returns how long an address has to wait before its next attempt; 0 is not at all.
func (l *limiter) wait(address string) time.Duration {
	if l.until.Len() == 0 {
		return 0
	}
	until, known := l.until.Peek(block(address))
	if !known {
		return 0
	}
	return max(0, until.Sub(l.now())-(limitBurst-1)*limitEvery)
}

// failed counts an attempt that failed.
func (l *limiter) failed(address string) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	until, _ := l.until.Peek(block(address))
	if until.Before(now) {
		until = now
	}
	l.until.Add(block(address), until.Add(limitEvery))
}

// block returns what is counted together: of IPv6 the network of one customer, who has all of
// its addresses (RFC 6177).
func block(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Is4() {
		return address
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	prefix, _ := ip.WithZone("").Prefix(64)
	return prefix.String()
}
