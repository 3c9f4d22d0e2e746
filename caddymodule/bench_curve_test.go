package caddymodule_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// curveClients are how many clients at once BenchmarkCurve has.
var curveClients = []int{1, 2, 4, 8, 16, 32, 64, 128, 256}

// BenchmarkCurve measures creations, refreshes and forwarded requests from 1 to 256 clients: how many
// a second, and what half and 99 of 100 of them take at the most. Beside them, by turns, is what bounds
// them: the raw cryptography of a creation and of a refresh, and plain reverse_proxy. It takes some
// minutes; with -short there are 10,000 sessions and no million.
//
//	go test -run '^$' -bench Curve -benchtime 1x ./caddymodule -update
//
// writes docs/curve.svg and the tables of docs/performance.md.
func BenchmarkCurve(b *testing.B) {
	for b.Loop() {
		groups := []curveGroup{createCurve(b), refreshCurve(b), forwardCurve(b)}
		for _, g := range groups {
			for _, line := range g.lines {
				best := slices.MaxFunc(line.points, func(x, y curvePoint) int { return int(x.rate - y.rate) })
				b.ReportMetric(best.rate, strings.ReplaceAll(g.name+"/"+line.name, " ", "-")+"/s")
			}
		}
		if *update {
			writeCurve(b, groups)
		}
	}
}

// A curveGroup is one operation: the line of what bounds it, and its own.
type curveGroup struct {
	name  string
	lines []curveLine
}

type curveLine struct {
	name   string
	points []curvePoint // one for each of curveClients
}

// A curvePoint is what so many clients at once get.
type curvePoint struct {
	rate     float64 // a second
	p50, p99 time.Duration
}

// curveStores are how many sessions there are before.
func curveStores() []int {
	if testing.Short() {
		return []int{10_000}
	}
	return []int{10_000, 1_000_000}
}

func rowsName(rows int) string {
	if rows >= 1_000_000 {
		return "a million sessions"
	}
	return "10,000 sessions"
}

// A curveSubject is what a line is of: begin returns what each of so many clients does again and
// again.
type curveSubject struct {
	name  string
	begin func(clients int) func(client int) (ok bool)
}

// createCurve is of one caller, who acts for another user each time.
func createCurve(b *testing.B) curveGroup {
	b.Helper()
	return storeCurve(b, "create", rawCryptography(b, false), func(s *bench, _ int) func(int) bool {
		target := url.URL{Path: "/auth/sessions"}
		desk := "Bearer " + s.idp.Token("desk", map[string]any{"scope": "sessions:impersonate"})
		return func(int) bool {
			return s.post(&target, desk, "application/json", fmt.Sprintf(`{"user_id":"curve%d"}`, rand.Uint64())) == 200
		}
	})
}

// refreshCurve is of clients that each present the live refresh token of a session of their own.
func refreshCurve(b *testing.B) curveGroup {
	b.Helper()
	return storeCurve(b, "refresh", rawRefresh(b), func(s *bench, clients int) func(int) bool {
		create, refresh := url.URL{Path: "/auth/sessions"}, url.URL{Path: "/auth/sessions/current/refresh"}
		desk := "Bearer " + s.idp.Token("desk", map[string]any{"scope": "sessions:impersonate"})
		tokens := make([][]byte, clients)
		for i := range tokens {
			tokens[i] = s.exchange(&create, desk, fmt.Appendf(nil, `{"user_id":"user%d"}`, i))
		}
		return func(client int) bool {
			tokens[client] = s.exchange(&refresh, "", fmt.Appendf(nil, `{"refresh_token":%q}`, tokens[client]))
			return tokens[client] != nil
		}
	})
}

// storeCurve measures what changes a store beside its cryptography.
func storeCurve(b *testing.B, name string, floor func(), begin func(s *bench, clients int) func(client int) bool) curveGroup {
	b.Helper()
	subjects := []curveSubject{{"cryptography", func(int) func(int) bool {
		return func(int) bool { floor(); return true }
	}}}
	for _, rows := range curveStores() {
		dir := benchDir(b)
		fillWith(b, dir, rows, nil)
		s := newBench(b, dir, `"lifecycle":true`)
		subjects = append(subjects, curveSubject{rowsName(rows), func(clients int) func(int) bool { return begin(s, clients) }})
	}
	return curveOf(b, name, subjects)
}

// forwardCurve is of requests over HTTP through Caddy to an app.
func forwardCurve(b *testing.B) curveGroup {
	b.Helper()
	p := newProxyBench(b)
	one := p.token("alice", "alice")
	tokens := p.tokens(distinctTokens)
	p.warm(tokens...)
	through := func(site string, token func() string) func(int) func(int) bool {
		return func(int) func(int) bool {
			return func(int) bool {
				status, _ := p.ask(site, token())
				return status == 200
			}
		}
	}
	ofOne, ofMany := func() string { return one }, func() string { return tokens[rand.IntN(len(tokens))] }
	return curveOf(b, "forward", []curveSubject{
		{"plain Caddy", through(p.plain, ofOne)}, {"one user", through(p.URL, ofOne)}, {"100,000 users", through(p.URL, ofMany)},
	})
}

// curveOf measures the lines of an operation by turns, a second of each for each number of clients.
func curveOf(b *testing.B, name string, subjects []curveSubject) curveGroup {
	b.Helper()
	const turns = 5
	group := curveGroup{name: name}
	for _, subject := range subjects {
		group.lines = append(group.lines, curveLine{name: subject.name})
	}
	for _, clients := range curveClients {
		took, whole := make([][]time.Duration, len(subjects)), make([]time.Duration, len(subjects))
		does := make([]func(int) bool, len(subjects))
		for i, subject := range subjects {
			does[i] = subject.begin(clients)
		}
		for range turns {
			for i, do := range does {
				calls, elapsed := callsFor(b, time.Second/turns, clients, do)
				took[i], whole[i] = append(took[i], calls...), whole[i]+elapsed
			}
		}
		for i, all := range took {
			if len(all) == 0 {
				b.Fatal("nothing was measured")
			}
			slices.Sort(all)
			group.lines[i].points = append(group.lines[i].points,
				curvePoint{rate: float64(len(all)) / whole[i].Seconds(), p50: all[len(all)/2], p99: all[len(all)*99/100]})
		}
	}
	return group
}

// callsFor has so many clients do something again and again, and returns what each call took, and all
// together.
func callsFor(b *testing.B, long time.Duration, clients int, do func(client int) bool) (calls []time.Duration, whole time.Duration) {
	b.Helper()
	var group sync.WaitGroup
	took := make([][]time.Duration, clients)
	begin := time.Now()
	for client := range clients {
		group.Go(func() {
			for start := time.Now(); start.Sub(begin) < long; {
				if !do(client) {
					b.Error("one failed")
					return
				}
				end := time.Now()
				took[client] = append(took[client], end.Sub(start))
				start = end
			}
		})
	}
	group.Wait()
	return slices.Concat(took...), time.Since(begin)
}
