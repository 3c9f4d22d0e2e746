package storetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"authsidecar/sessions"
)

// What is played of each session: by so many at once, in so many steps each.
const (
	linearSessions = 24
	linearPlayers  = 6
	linearGrace    = 40 * time.Millisecond
	linearTimeout  = time.Minute // to find the order of one session's answers
)

// A move is what a player does with the session.
type move string

const (
	moveCreate move = "create"
	moveGet    move = "get"
	moveLive   move = "refresh" // with the newest refresh token that anybody saw
	moveRetry  move = "retry"   // with the one before it
	moveReuse  move = "reuse"   // with the first one
	moveAhead  move = "ahead"   // with one that was never given
	moveRevoke move = "revoke"
	moveLate   move = "late" // a retry, when the grace period is over
)

// Players follow the opening, each from another place of it; then they end the
// session in one of the ways.
var (
	opening = []move{moveLive, moveGet, moveLive, moveRetry, moveLive, moveCreate, moveRetry}
	endings = []move{moveReuse, moveRevoke, moveLate, moveAhead}
)

// A question is what a store is asked; answered is what it said.
type question struct {
	move      move
	row       string // to create
	presented sessions.Presented
	fresh     sessions.Fresh
}

type answered struct {
	row     string // as stored then; "" for none
	created bool
	kind    sessions.EventKind
	at      time.Time // of the transition
}

// A game is the history of one session. Its clock counts calls and returns.
type game struct {
	*suite
	key    sessions.Key
	ending move
	ticks  atomic.Int64

	mu      sync.Mutex
	history []porcupine.Operation
	tokens  map[uint64][sessions.SecretSize]byte // of each generation that was seen
	newest  uint64
}

// linearizable plays sessions that many create, refresh, retry, read and end at
// once, and asks of each whether its answers can have been given one after the
// other, no answer before its question, by a row that changes as
// sessions.Rotation says.
func linearizable(s *suite) {
	kinds := make(map[sessions.EventKind]int)
	for i := range linearSessions {
		g := &game{
			suite: s, key: sessions.Key{Realm: realm, ID: fmt.Sprintf("played%d", i)}, ending: endings[i%len(endings)],
			tokens: make(map[uint64][sessions.SecretSize]byte),
		}
		together(linearPlayers, g.play)
		g.do(0, &question{move: moveGet})
		for j := range g.history {
			kinds[g.history[j].Output.(answered).kind]++
		}
		if result := porcupine.CheckOperationsTimeout(rowModel(g.key), g.history, linearTimeout); result != porcupine.Ok {
			s.Fatalf("no order of its operations explains the answers of session %d (%s): %s", i, g.ending, result)
		}
	}
	for _, kind := range []sessions.EventKind{
		sessions.EventRefreshed, sessions.EventRetried, sessions.EventReuse, sessions.EventStoreBehind, sessions.EventRevoked, sessions.EventDenied,
	} {
		if kinds[kind] == 0 {
			s.Errorf("no operation was %s: %v", kind, kinds)
		}
	}
}

func (g *game) play(player int) {
	g.do(player, g.ask(player, 0, moveCreate))
	for step := range opening {
		g.do(player, g.ask(player, step+1, opening[(step+player)%len(opening)]))
	}
	if g.ending == moveLate {
		g.clock.advance(linearGrace)
	}
	g.do(player, g.ask(player, len(opening)+1, g.ending))
	g.do(player, g.ask(player, len(opening)+2, moveLive))
}

// ask makes a question of a move.
func (g *game) ask(player, step int, m move) *question {
	q := &question{move: m, fresh: sessions.Fresh{KeyID: "key", From: fmt.Sprintf("192.0.2.%d", player)}}
	binary.BigEndian.PutUint64(q.fresh.Secret[:], uint64(1+player))
	binary.BigEndian.PutUint64(q.fresh.Secret[8:], uint64(step))
	if m == moveCreate {
		row := g.session(g.key.ID, "alice")
		row.Secret = q.fresh.Secret
		q.row = g.encode(row)
		return q
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	generation := g.newest
	switch m {
	case moveRetry, moveLate:
		generation -= min(generation, 1)
	case moveReuse:
		generation = 0
	}
	q.presented = sessions.Presented{Session: g.key, UserID: "alice", ClientID: "app", Generation: generation, Secret: g.tokens[generation]}
	if m == moveAhead {
		q.presented.Generation += 1000
	}
	return q
}

// do asks the store and writes down what was asked, when, and what it said.
func (g *game) do(player int, q *question) {
	call := g.ticks.Add(1)
	row, a, err := g.call(q)
	end := g.ticks.Add(1)
	g.clock.advance(time.Millisecond)
	if err != nil && !errors.Is(err, sessions.ErrNotFound) {
		g.Errorf("%s: %v", q.move, err)
		return
	}
	if err == nil {
		a.row = g.encode(row)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil {
		g.tokens[row.Generation] = row.Secret
		g.newest = max(g.newest, row.Generation)
	}
	g.history = append(g.history, porcupine.Operation{ClientId: player, Input: q, Call: call, Output: a, Return: end})
}

func (g *game) call(q *question) (row sessions.Session, a answered, err error) {
	switch q.move {
	case moveCreate:
		row, err = sessions.DecodeRow(g.key, []byte(q.row))
		if err == nil {
			row, a.created, err = g.store.Create(g.Context(), row)
		}
	case moveGet:
		row, err = g.store.Get(g.Context(), g.key)
	default:
		row, err = g.store.Update(g.Context(), g.key, func(row sessions.Session, now time.Time) (next sessions.Session, write bool) {
			a.at = now
			next, write, a.kind = q.transition(row, now)
			return next, write
		})
	}
	return row, a, err
}

// transition is what the question makes of a row.
func (q *question) transition(row sessions.Session, now time.Time) (next sessions.Session, write bool, kind sessions.EventKind) {
	if q.move == moveRevoke {
		if !row.RevokedAt.IsZero() {
			return row, false, sessions.EventDenied
		}
		row.RevokedAt, row.EndReason = now, sessions.EndRevoked
		return row, true, sessions.EventRevoked
	}
	rules := sessions.Rotation{Grace: linearGrace, Permit: func(*sessions.Session) error { return nil }}
	next, write, outcome := rules.Present(row, &q.presented, &q.fresh, now)
	return next, write, outcome.Kind
}

func (g *game) encode(row sessions.Session) string {
	data, err := sessions.EncodeRow(&row)
	if err != nil {
		g.Errorf("encoding: %v", err)
	}
	return string(data)
}

// rowModel is a store of one row, asked by one at a time. Its state is the row as
// EncodeRow gives it, or "".
func rowModel(key sessions.Key) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return "" },
		Step: func(state, input, output any) (bool, any) {
			before, q, a := state.(string), input.(*question), output.(answered)
			after, want := q.model(key, before, a.at)
			return a == want, after
		},
	}
}

// model returns the state after the question, and the answer to it.
func (q *question) model(key sessions.Key, before string, at time.Time) (after string, want answered) {
	switch {
	case q.move == moveCreate && before == "":
		return q.row, answered{row: q.row, created: true}
	case q.move == moveCreate, q.move == moveGet, before == "":
		return before, answered{row: before}
	}
	row, err := sessions.DecodeRow(key, []byte(before))
	if err != nil {
		return before, answered{}
	}
	next, write, kind := q.transition(row, at)
	if !write {
		return before, answered{row: before, kind: kind, at: at}
	}
	data, err := sessions.EncodeRow(&next)
	if err != nil {
		return before, answered{}
	}
	return string(data), answered{row: string(data), kind: kind, at: at}
}
