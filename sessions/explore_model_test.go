package sessions

import (
	"errors"
	"fmt"
	"time"

	"authsidecar/sessions/event"
)

// Times of the model are in units. Those of the session are as close to each other as a
// configuration allows.
const (
	unit  = 15 * time.Second
	grace = 2
	life  = 4 * grace // of an access token
	idle  = 2 * life
)

// A pair are the two tokens of a generation, as somebody has them.
type pair struct {
	has    bool
	lag    uint8 // generations behind the live one; old is that and more
	left   int8  // of the life of the access token; 0 is over
	newKey bool  // signed the refresh token
}

// old is a lag that nothing gets out of.
const old = 2

// A phase is where a request of a tab is.
type phase uint8

const (
	idling    phase = iota
	asking          // on its way to a node
	working         // with the app, for as long as it likes
	answering       // on its way to the browser
)

// A tab has one request at a time.
type tab struct {
	phase   phase
	waiting int8 // on its way
	pair    pair // that the request brings, or that the answer sets
}

// modelled is one state. All of it is relative to now and to the live generation, so that what is
// the same from here on is one state.
type modelled struct {
	rotated     int8 // how long ago the live generation began
	confirmed   bool // by the row
	confirmedAt int8
	rowKey      bool // the new one signed the live refresh token
	rings       uint8

	arrived   bool // an access token of the live generation was seen, and the store was told
	arrivedAt int8
	told      [2]bool // the store is to be told of an access token, by its lag

	jar   pair
	tabs  [2]tab
	used  int8 // how long ago a request of who keeps the rules was served
	thief [2]pair
	theft uint8
}

// Which keys the nodes have: first the old one, then node A a new one too, which signs from
// then on, and then both.
const (
	ringsOld uint8 = iota
	ringsApart
	ringsNew
)

// What the thief did.
const (
	thiefAbsent uint8 = iota
	thiefAway         // nothing yet
	thiefHas          // copied the pair
	thiefSeen         // and used it
)

// rules are those that are explored.
type rules struct {
	present  func(r *Rotation, row Session, p *Presented, fresh *Fresh, now time.Time) (Session, bool, Outcome)
	confirm  func(r *Rotation, row Session, generation uint64, now time.Time) (Session, bool)
	outdated func(g *Grant, row *Session, now time.Time) bool
}

var realRules = rules{present: (*Rotation).Present, confirm: (*Rotation).Confirm, outdated: (*Grant).Outdated}

// liveGeneration is the number of the live generation in every state.
const liveGeneration = 10

var (
	secrets  = [...][SecretSize]byte{secret(liveGeneration), secret(liveGeneration - 1), secret(liveGeneration - 2)} // by lag
	freshOne = secret(liveGeneration + 1)
)

func keyName(newer bool) string {
	if newer {
		return "new"
	}
	return "old"
}

func ago(units int8) time.Time { return t0.Add(-time.Duration(units) * unit) }

// row is the session as it is stored, at t0.
func (w *modelled) row() Session {
	row := Session{
		Realm: "r", ID: "id", UserID: "alice", ClientID: "app", Cookies: true,
		CreatedAt: t0.Add(-time.Hour), ExpiresAt: t0.Add(100 * time.Hour), Idle: idle * unit, RotatedAt: ago(w.rotated),
		Generation: liveGeneration, Secret: secrets[0], SecretPrev: secrets[1], KeyID: keyName(w.rowKey),
		Confirmed: liveGeneration - 1, ConfirmedAt: t0.Add(-time.Hour),
	}
	if w.confirmed {
		row.Confirmed, row.ConfirmedAt = liveGeneration, ago(w.confirmedAt)
	}
	return row
}

// store takes a row for the one that is stored from now on.
func (w *modelled) store(row *Session) {
	for range row.Generation - liveGeneration {
		w.eachPair((*pair).fall)
		w.told[0], w.told[1] = false, w.told[0] // of what is older nothing comes
		w.arrived, w.arrivedAt = false, 0
	}
	w.rotated, w.rowKey = int8(t0.Sub(row.RotatedAt)/unit), row.KeyID == keyName(true)
	w.confirmed, w.confirmedAt = row.Confirmed >= row.Generation, 0
	if w.confirmed {
		w.confirmedAt = int8(min(t0.Sub(row.ConfirmedAt)/unit, grace))
	}
}

// pass lets one unit of time pass.
func (w *modelled) pass() {
	w.rotated, w.used = min(w.rotated+1, idle), min(w.used+1, idle-life)
	if w.confirmed {
		w.confirmedAt = min(w.confirmedAt+1, grace)
	}
	if w.arrived {
		w.arrivedAt = min(w.arrivedAt+1, grace)
	}
	w.eachPair(func(p *pair) { p.left = max(p.left-1, 0) })
	for i := range w.tabs {
		if w.tabs[i].onItsWay() {
			w.tabs[i].waiting++
		}
	}
}

func (w *modelled) eachPair(do func(*pair)) {
	for _, p := range [...]*pair{&w.jar, &w.tabs[0].pair, &w.tabs[1].pair, &w.thief[0], &w.thief[1]} {
		do(p)
	}
}

func (p *pair) fall() {
	if p.has {
		p.lag = min(p.lag+1, old)
	}
}

func (t *tab) onItsWay() bool { return t.phase == asking || t.phase == answering }

// A reply is what a node makes of a refresh token.
type reply struct {
	grant       pair
	unavailable bool  // 503, and the session may have been rotated or not
	over        error // the session is, and is revoked or not
	revoked     bool
}

// present has a node present the refresh token of a pair. The error is a promise that was broken.
func (w *modelled) present(by *rules, p pair, knowsNew bool) (r reply, broken error) {
	if p.newKey && !knowsNew {
		return reply{unavailable: true}, nil
	}
	row := w.row()
	token := Presented{Session: row.Key(), UserID: "alice", ClientID: "app", Generation: liveGeneration - uint64(p.lag), Secret: secrets[p.lag]}
	next, write, out := by.present(&Rotation{Grace: grace * unit, Permit: permit}, row, &token, &Fresh{Secret: freshOne, KeyID: keyName(knowsNew)}, t0)
	if broken := w.judge(p, &row, &next, write, &out); broken != nil {
		return r, broken
	}
	if write {
		w.store(&next)
	}
	switch {
	case out.Err != nil:
		return reply{over: out.Err, revoked: write}, nil
	case w.rowKey && !knowsNew: // the successor cannot be signed here
		return reply{unavailable: true}, nil
	}
	_, expires := (&Minter{AccessTTL: life * unit}).accessTimes(&next, t0)
	if !expires.After(t0) {
		return r, errOver
	}
	return reply{grant: pair{has: true, left: int8(expires.Sub(t0) / unit), newKey: w.rowKey}}, nil
}

// The promises that a rule can break.
var (
	errSignedOut = errors.New("who keeps the rules is signed out")
	errAway      = errors.New("who was there a moment ago is signed out for being away")
	errOver      = errors.New("the access token that a request gets in line is over")
	errCopied    = errors.New("the session is revoked, though nothing shows that it was copied")
	errUnseen    = errors.New("a copy comes after both sides were seen, and is good")
	errGoesOn    = errors.New("a copy was seen, and the session goes on")
	errBranch    = errors.New("a second branch of the session")
)

// judge returns the promise that an outcome breaks.
func (w *modelled) judge(p pair, row, next *Session, write bool, out *Outcome) error {
	caught := p.lag == old || p.lag == 1 && w.arrived && w.arrivedAt >= grace
	switch {
	case out.Kind == event.Denied && w.rotated >= idle:
		return nil
	case out.Err != nil && !caught:
		return fmt.Errorf("%w: %d behind: %w", errCopied, p.lag, out.Err)
	case out.Err == nil && caught:
		return fmt.Errorf("%w: %d behind, %s", errUnseen, p.lag, out.Kind)
	case caught && (!write || next.EndReason != EndReuse):
		return fmt.Errorf("%w: %w", errGoesOn, out.Err)
	case p.lag == 0 && (next.Generation != row.Generation+1 || next.SecretPrev != row.Secret || next.Secret != freshOne || !write),
		p.lag == 1 && (next.Generation != row.Generation || next.Secret != row.Secret || next.SecretPrev != row.SecretPrev):
		return fmt.Errorf("%w: %d behind", errBranch, p.lag)
	default:
		return nil
	}
}
