package sessions

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions/event"
)

// exploreDepth is how many steps TestRotation_EveryInterleaving goes with a thief, unless
// depthVariable says another number; 0 is until no new state comes. Each wrong rule that a thief
// shows is found within 7; .ci/run goes 18.
const (
	exploreDepth  = 15
	raceDepth     = 12 // the same, underRace
	depthVariable = "AUTHSIDECAR_EXPLORE_DEPTH"
)

// Two tabs share the cookies of a browser, a thief copies the pair at any time, requests and
// answers get lost or come late, a signing key is replaced, and two nodes share the store, one of
// which learns of the key later. Every order in which that can happen is followed, from every
// state: Rotation and Grant.Outdated decide, and modelled.judge and modelled.arrive hold them to
// what is promised:
//
//   - nobody who keeps the rules is signed out, unless they were away or a thief was there,
//   - there is one successor of each token, and so one branch of the session,
//   - as soon as an access token of the live generation was seen, and grace passed, whoever
//     presents the refresh token before it is caught; of an older one at once.
//
// Without a thief these are all states that there are. What the model leaves out, or bounds:
//
//   - A request is on its way to the store for less than grace, and an answer from when its
//     header is written for less than grace; between the two the app takes as long as it likes.
//     So a request comes less than grace after the browser got the successor.
//   - The store is linearizable, which package storetest checks: a transition is one step.
//     The store is told of an access token at any time later, or never.
//   - Clocks of browsers and nodes agree, and cookies are gone when their tokens are over.
//   - The thief copies the pair once, and keeps it and the newest pair that they get for it.
//   - The session does not come to its absolute end, and nobody revokes it.
//
// Covers S1, S2.
func TestRotation_EveryInterleaving(t *testing.T) {
	depth := exploreDepth
	if underRace {
		depth = raceDepth
	}
	if said := os.Getenv(depthVariable); said != "" {
		var err error
		if depth, err = strconv.Atoi(said); err != nil {
			t.Fatalf("%s: %v", depthVariable, err)
		}
	}
	for _, tt := range []struct {
		name  string
		theft uint8
		depth int
	}{{"without a thief", thiefAbsent, 0}, {"with a thief", thiefAway, depth}} {
		t.Run(tt.name, func(t *testing.T) {
			found := explore(&realRules, tt.theft, tt.depth)
			if found.broken != nil {
				t.Fatal(found.broken)
			}
			if tt.depth == 0 && !found.whole {
				t.Error("there are more states")
			}
			t.Logf("%d states, %d steps from them, depth %d", found.states, found.steps, found.depth)
		})
	}
}

// explored is what explore found.
type explored struct {
	states, steps, depth int
	whole                bool  // no new state came
	broken               error // what is promised does not hold, and the steps that led there
}

// explore follows every step from every state, breadth first, so many steps deep, and stops
// where a promise is broken.
func explore(by *rules, theft uint8, depth int) (found explored) {
	start := modelled{jar: pair{has: true, left: life}, theft: theft}
	cameFrom := map[uint64]uint64{start.pack(): 0}
	for layer := []modelled{start}; len(layer) > 0 && (depth == 0 || found.depth < depth); found.depth++ {
		var next []modelled
		for i := range layer {
			from := layer[i].pack()
			layer[i].steps(by, func(s step) {
				found.steps++
				if s.err != nil && found.broken == nil {
					found.broken = fmt.Errorf("%w:\n%s%s", s.err, way(by, cameFrom, start, from), s)
				}
				to := s.to.pack()
				if _, known := cameFrom[to]; known || s.over || s.err != nil {
					return
				}
				cameFrom[to] = from
				next = append(next, s.to)
			})
			if found.broken != nil {
				return found
			}
		}
		layer, found.whole = next, len(next) == 0
	}
	found.states = len(cameFrom)
	return found
}

// way returns the steps that lead to a state.
func way(by *rules, cameFrom map[uint64]uint64, at modelled, to uint64) string {
	var states []uint64
	for ; to != at.pack(); to = cameFrom[to] {
		states = append(states, to)
	}
	var names strings.Builder
	for _, want := range slices.Backward(states) {
		from, done := at, false
		from.steps(by, func(s step) {
			if !done && s.to.pack() == want {
				fmt.Fprintln(&names, s)
				at, done = s.to, true
			}
		})
	}
	return names.String()
}

// Each promise is one that a wrong rule breaks.
func TestRotation_EveryInterleavingCatchesWrongRules(t *testing.T) {
	changed := func(change func(row *Session, p *Presented)) rules {
		by := realRules
		by.present = func(r *Rotation, row Session, p *Presented, fresh *Fresh, now time.Time) (Session, bool, Outcome) {
			change(&row, p)
			return r.Present(row, p, fresh, now)
		}
		return by
	}
	stored := func(change func(row Session, next *Session, out Outcome, write bool) bool) rules {
		by := realRules
		by.present = func(r *Rotation, row Session, p *Presented, fresh *Fresh, now time.Time) (Session, bool, Outcome) {
			next, write, out := r.Present(row, p, fresh, now)
			return next, change(row, &next, out, write), out
		}
		return by
	}
	confirming := func(confirm func(r *Rotation, row Session, generation uint64, now time.Time) (Session, bool)) rules {
		by := realRules
		by.confirm = confirm
		return by
	}
	answering := func(outdated func(g *Grant, row *Session, now time.Time) bool) rules {
		by := realRules
		by.outdated = outdated
		return by
	}
	for _, tt := range []struct {
		name   string
		theft  uint8
		by     rules
		broken error
	}{
		{"grace counts from the rotation, as without cookies", thiefAbsent, changed(func(row *Session, _ *Presented) { row.Cookies = false }), errCopied},
		{"grace counts from the rotation, once the generation is confirmed", thiefAbsent, changed(func(row *Session, _ *Presented) { row.ConfirmedAt = row.RotatedAt }), errCopied},
		{"grace never counts", thiefAway, changed(func(row *Session, _ *Presented) { row.Confirmed = 0 }), errUnseen},
		{"two generations behind is good", thiefAway, changed(func(row *Session, p *Presented) {
			if p.Generation+2 == row.Generation {
				p.Generation, p.Secret, row.Confirmed = row.Generation-1, row.SecretPrev, 0
			}
		}), errUnseen},
		{"a rotation confirms its generation", thiefAbsent, stored(func(row Session, next *Session, out Outcome, write bool) bool {
			if out.Kind == event.Refreshed {
				next.Confirmed, next.ConfirmedAt = next.Generation, next.RotatedAt
			}
			return write
		}), errCopied},
		{"a retry is another successor", thiefAbsent, stored(func(row Session, next *Session, out Outcome, write bool) bool {
			if out.Kind == event.Retried {
				next.Secret = secret(liveGeneration + 2)
			}
			return write || out.Kind == event.Retried
		}), errBranch},
		{"a retry begins nothing again", thiefAbsent, stored(func(row Session, next *Session, out Outcome, write bool) bool {
			if out.Kind == event.Retried {
				*next = row
			}
			return write && out.Kind != event.Retried
		}), errOver},
		{"a reuse is refused and not stored", thiefAway, stored(func(row Session, next *Session, out Outcome, write bool) bool {
			return write && out.Kind != event.Reuse
		}), errGoesOn},
		{"any access token confirms the live generation", thiefAbsent, confirming(func(r *Rotation, row Session, _ uint64, now time.Time) (Session, bool) {
			return r.Confirm(row, row.Generation, now)
		}), errCopied},
		{"each access token confirms it again", thiefAway, confirming(func(r *Rotation, row Session, generation uint64, now time.Time) (Session, bool) {
			row.Confirmed = 0
			return r.Confirm(row, generation, now)
		}), errUnseen},
		{"nothing confirms", thiefAway, confirming(func(_ *Rotation, row Session, _ uint64, _ time.Time) (Session, bool) { return row, false }), errUnseen},
		{"answers set what they have, however late", thiefAbsent, answering(func(*Grant, *Session, time.Time) bool { return false }), errSignedOut},
		{"answers set what they have, until half of the life of its access token is over", thiefAbsent, answering(func(g *Grant, row *Session, now time.Time) bool {
			return row.Generation != g.Session.Generation || row.Confirmed == row.Generation || now.Sub(g.Session.RotatedAt) > g.AccessExpires.Sub(now)
		}), errSignedOut},
		{"answers set what they have, unless the session was rotated again", thiefAbsent, answering(func(g *Grant, row *Session, _ time.Time) bool {
			return row.Generation != g.Session.Generation
		}), errSignedOut},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := explore(&tt.by, tt.theft, 40)
			if !errors.Is(found.broken, tt.broken) {
				t.Errorf("%d steps: %v, and not: %v", found.depth, found.broken, tt.broken)
			}
		})
	}
}
