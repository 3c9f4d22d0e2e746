package sessions

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A step is what can happen next, and where it leads.
type step struct {
	what   string // with # for the number
	number int    // of the tab, of the thief's pair, or how many generations behind
	at     string // the node
	to     modelled
	over   bool  // the session
	err    error // the promise that is broken
}

func (s step) String() string {
	return strings.ReplaceAll(s.what, "#", strconv.Itoa(s.number)) + s.at
}

// steps yields all that can happen next.
func (w *modelled) steps(by *rules, yield func(step)) {
	w.clockSteps(yield)
	for i := range w.tabs {
		if i == 0 || w.tabs[1] != w.tabs[0] { // else they are alike
			w.tabSteps(by, i, yield)
		}
	}
	for lag := range w.told {
		if w.told[lag] {
			w.toldSteps(by, lag, yield)
		}
	}
	w.thiefSteps(by, yield)
}

// clockSteps lets time pass, one unit or half of the life of an access token, unless a request or
// an answer would then be on its way for grace, and nodes learn of a new key.
func (w *modelled) clockSteps(yield func(step)) {
	for _, units := range [...]int{1, life / 2} {
		if slices.ContainsFunc(w.tabs[:], func(t tab) bool { return t.onItsWay() && int(t.waiting)+units >= grace }) {
			break
		}
		s := step{what: "# units of time pass", number: units, to: *w}
		for range units {
			s.to.pass()
		}
		yield(s)
	}
	if w.rings < ringsNew {
		s := step{what: [...]string{"node A signs with a new key", "node B learns of the new key"}[w.rings], to: *w}
		s.to.rings++
		yield(s)
	}
}

// nodes yields the nodes that a request may come to, and whether each knows the new key. Where
// both know the same they are alike.
func (w *modelled) nodes(yield func(name string, knowsNew bool) bool) {
	switch w.rings {
	case ringsOld:
		yield("", false)
	case ringsNew:
		yield("", true)
	default:
		_ = yield(" to node A", true) && yield(" to node B", false)
	}
}

func (w *modelled) tabSteps(by *rules, i int, yield func(step)) {
	become := func(what string, now tab) {
		s := step{what: what, number: i + 1, to: *w}
		s.to.tabs[i] = now
		yield(s)
	}
	switch t := w.tabs[i]; t.phase {
	case idling:
		become("tab # asks", tab{phase: asking, pair: w.jar})
	case asking:
		become("the request of tab # gets lost", tab{})
		w.arrive(by, i, yield)
	case working:
		become("tab # is closed", tab{})
		if t.pair.has && w.outdated(by, t.pair) {
			t.pair = pair{}
		}
		become("the answer to tab # begins", tab{phase: answering, pair: t.pair})
	case answering:
		become("the answer to tab # gets lost", tab{})
		s := step{what: "tab # has its answer", number: i + 1, to: *w}
		s.to.tabs[i] = tab{}
		if t.pair.has {
			s.to.jar = t.pair
		}
		yield(s)
	}
}

// outdated reports whether an answer whose header is written now leaves the pair out.
func (w *modelled) outdated(by *rules, p pair) bool {
	expires := t0.Add(time.Duration(p.left) * unit)
	g := Grant{AccessExpires: expires, Session: Session{Generation: liveGeneration - uint64(p.lag), RotatedAt: expires.Add(-life * unit)}}
	row := w.row()
	return by.outdated(&g, &row, t0)
}

// arrive is a request of a tab that comes to a node.
func (w *modelled) arrive(by *rules, i int, yield func(step)) {
	p := w.tabs[i].pair
	if p.left > 0 {
		s := step{what: "the access token of tab # is seen", number: i + 1, to: *w}
		s.to.show(p.lag)
		s.to.used, s.to.tabs[i] = 0, tab{phase: working}
		yield(s)
		return
	}
	for node, knowsNew := range w.nodes {
		s := step{what: "the refresh token of tab # is presented", number: i + 1, at: node, to: *w}
		var r reply
		r, s.err = s.to.present(by, p, knowsNew)
		switch s.over = r.over != nil; {
		case s.err != nil:
		case r.unavailable:
			s.to.tabs[i] = tab{} // the cookies stay
		case r.revoked && w.theft != thiefSeen:
			s.err = fmt.Errorf("%w: %w", errSignedOut, r.over)
		case s.over && !r.revoked && w.used < idle-life:
			s.err = fmt.Errorf("%w: %w", errAway, r.over)
		case !s.over:
			s.to.used, s.to.tabs[i] = 0, tab{phase: working, pair: r.grant}
		}
		yield(s)
	}
}

// show is an access token that a node sees: the store is to be told of it.
func (w *modelled) show(lag uint8) {
	if lag < old {
		w.told[lag] = true
	}
}

// toldSteps are that the store is told of an access token, or not after all: the next one that is
// seen is another chance.
func (w *modelled) toldSteps(by *rules, lag int, yield func(step)) {
	s := step{what: "the store is not told of an access token, # behind", number: lag, to: *w}
	s.to.told[lag] = false
	yield(s)
	s.what = "the store is told of an access token, # behind"
	if next, write := by.confirm(&Rotation{Grace: grace * unit}, w.row(), liveGeneration-uint64(lag), t0); write {
		s.to.store(&next)
	}
	if lag == 0 && !s.to.arrived {
		s.to.arrived, s.to.arrivedAt = true, 0
	}
	yield(s)
}

// thiefSteps are those of a thief, who copies the pair once, and keeps it and the newest that they
// get for it. Nothing of theirs gets lost, and no answer to them leaves anything out.
func (w *modelled) thiefSteps(by *rules, yield func(step)) {
	if w.theft == thiefAway {
		s := step{what: "a thief copies the pair", to: *w}
		s.to.theft, s.to.thief[0] = thiefHas, w.jar
		yield(s)
	}
	for i, p := range w.thief {
		if !p.has {
			continue
		}
		if p.left > 0 {
			s := step{what: "the access token of the thief's pair # is seen", number: i, to: *w}
			s.to.theft = thiefSeen
			s.to.show(p.lag)
			yield(s)
		}
		for node, knowsNew := range w.nodes {
			s := step{what: "the thief presents pair #", number: i, at: node, to: *w}
			s.to.theft = thiefSeen
			var r reply
			r, s.err = s.to.present(by, p, knowsNew)
			if s.over = r.over != nil; r.grant.has {
				s.to.thief[1] = r.grant
			}
			yield(s)
		}
	}
}

// A packer makes one number of several, each of which is below a bound.
type packer uint64

func (p *packer) add(value, bound int) { *p = *p*packer(bound) + packer(value) }

func (p *packer) flag(value bool) {
	if value {
		p.add(1, 2)
	} else {
		p.add(0, 2)
	}
}

// since adds how long ago something was, if it was at all.
func (p *packer) since(was bool, ago int8) {
	if !was {
		ago = grace + 1
	}
	p.add(int(ago), grace+2)
}

// pairs bounds what pair adds, and tabs what tab.pack returns.
const (
	pairs = 1 + (old+1)*(life+1)*2
	tabs  = (int(answering) + 1) * grace * pairs
)

func (p *packer) pair(value pair) {
	if !value.has {
		p.add(0, pairs)
		return
	}
	n := 1 + int(value.lag)*(life+1) + int(value.left)
	if value.newKey {
		n += (old + 1) * (life + 1)
	}
	p.add(n, pairs)
}

func (t *tab) pack() (p packer) {
	p.add(int(t.phase), int(answering)+1)
	p.add(int(t.waiting), grace)
	p.pair(t.pair)
	return p
}

// pack returns a number of the state: those that are alike, as the two tabs are, have the same.
func (w *modelled) pack() uint64 {
	var p packer
	p.add(int(w.rotated), idle+1)
	p.since(w.confirmed, w.confirmedAt)
	p.since(w.arrived, w.arrivedAt)
	p.flag(w.rowKey)
	p.add(int(w.rings), int(ringsNew)+1)
	p.flag(w.told[0])
	p.flag(w.told[1])
	p.pair(w.jar)
	a, b := w.tabs[0].pack(), w.tabs[1].pack()
	p.add(int(min(a, b)), tabs)
	p.add(int(max(a, b)), tabs)
	p.add(int(w.used), idle-life+1)
	p.pair(w.thief[0])
	p.pair(w.thief[1])
	p.add(int(w.theft), int(thiefSeen)+1)
	return uint64(p)
}
