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
	"authsidecar/sessions/event"
	"authsidecar/sessions/rowcodec"
)

// How many players each session has, and how many steps each makes.
const (
	linearSessions = 24
	linearPlayers  = 6
	linearGrace    = 40 * time.Millisecond
	linearTimeout  = time.Minute // for finding the order of one session's responses
)

// A move is what a player does with the session.
type move string

const (
	moveCreate move = "create"
	moveGet    move = "get"
	moveLive   move = "refresh" // with the newest refresh token that any player has seen
	moveRetry  move = "retry"   // with the previous one
	moveReuse  move = "reuse"   // with the first one
	moveAhead  move = "ahead"   // with one that was never issued
	moveRevoke move = "revoke"
	moveLate   move = "late"   // a retry after the grace period
	moveArrive move = "arrive" // the newest access token arrives
	moveOpen   move = "open"   // if it is pending
)

// confirmed is the kind of a moveArrive that changed something.
const confirmed event.Kind = "confirmed"

// Players follow the opening, and then end the session in one of these ways. In every other session
// all players make each move at the same time; in the others, each begins at another place of the
// opening and waits for nobody. Some sessions of both kinds have their tokens in cookies, and some
// of these are pending until they are opened.
var (
	opening = []move{moveOpen, moveLive, moveGet, moveLive, moveRetry, moveArrive, moveLive, moveCreate, moveRetry, moveArrive}
	endings = []move{moveReuse, moveRevoke, moveLate, moveAhead}
)

// A game is the history of one session. Its clock counts calls and returns.
type game struct {
	*suite
	key     sessions.Key
	ending  move
	cookies bool
	pending bool
	ticks   atomic.Int64

	mu      sync.Mutex
	history []porcupine.Operation
	tokens  map[uint64][sessions.SecretSize]byte // of each generation that was seen
	newest  uint64
}

// linearizable plays sessions that many players create, refresh, retry, read and revoke
// concurrently. It checks that the responses of each session are possible one after the other, none
// before its request, for a row that changes as sessions.Rotation says.
func linearizable(s *suite) {
	kinds := make(map[event.Kind]int)
	for i := range linearSessions {
		g := &game{
			suite: s, key: sessions.Key{Realm: realm, ID: fmt.Sprintf("played%d", i)}, ending: endings[i%len(endings)],
			cookies: i/len(endings)/2 > 0, pending: i/len(endings)/2 > 1, tokens: make(map[uint64][sessions.SecretSize]byte),
		}
		if i/len(endings)%2 == 0 {
			for step := range steps {
				Together(linearPlayers, func(player int) { g.step(player, step, 0) })
			}
		} else {
			Together(linearPlayers, func(player int) {
				for step := range steps {
					g.step(player, step, player)
				}
			})
		}
		g.do(0, &question{move: moveGet})
		for j := range g.history {
			kinds[g.history[j].Output.(answered).kind]++
		}
		if result := porcupine.CheckOperationsTimeout(rowModel(g.key), g.history, linearTimeout); result != porcupine.Ok {
			s.Fatalf("no order of its operations explains the answers of session %d (%s): %s", i, g.ending, result)
		}
	}
	for _, kind := range []event.Kind{
		event.Refreshed, event.Retried, event.Reuse, event.StoreBehind, event.Revoked, event.Denied, event.Opened, confirmed,
	} {
		if kinds[kind] == 0 {
			s.Errorf("no operation was %s: %v", kind, kinds)
		}
	}
}

// steps is how many moves each player makes: create, the opening, the ending, and one more when it
// is over.
var steps = len(opening) + 3

// step makes the move of a player that begins the opening at the given place.
func (g *game) step(player, step, begin int) {
	m := moveLive
	switch {
	case step == 0:
		m = moveCreate
	case step <= len(opening):
		m = opening[(begin+step-1)%len(opening)]
	case step == len(opening)+1:
		m = g.ending
	}
	if m == moveLate {
		g.clock.Advance(linearGrace)
	}
	g.do(player, g.ask(player, step, m))
}

// ask turns a move into a question.
func (g *game) ask(player, step int, m move) *question {
	q := &question{move: m, fresh: sessions.Fresh{KeyID: "key", From: fmt.Sprintf("192.0.2.%d", player)}}
	binary.BigEndian.PutUint64(q.fresh.Secret[:], uint64(1+player))
	binary.BigEndian.PutUint64(q.fresh.Secret[8:], uint64(step))
	if m == moveCreate {
		row := g.session(g.key.ID, "alice")
		if g.pending {
			row = g.suite.pending(g.key.ID)
		}
		row.Secret, row.Cookies = q.fresh.Secret, g.cookies
		q.row = g.encode(row)
		return q
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	generation := g.newest
	if m == moveRetry || m == moveLate {
		generation -= min(generation, 1)
	}
	if m == moveReuse {
		generation = 0
	}
	q.presented = sessions.Presented{Session: g.key, UserID: "alice", ClientID: "app", Generation: generation, Secret: g.tokens[generation]}
	if m == moveAhead {
		q.presented.Generation += 1000
	}
	return q
}

// do asks the store, and records the question, the time and the response.
func (g *game) do(player int, q *question) {
	call := g.ticks.Add(1)
	row, a, err := g.call(q)
	end := g.ticks.Add(1)
	g.clock.Advance(time.Millisecond)
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
		row, err = rowcodec.Decode(g.key, []byte(q.row))
		if err == nil {
			row, a.created, _, err = g.store.Create(g.Context(), row)
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

func (g *game) encode(row sessions.Session) string {
	data, err := rowcodec.Encode(&row)
	if err != nil {
		g.Errorf("encoding: %v", err)
	}
	return string(data)
}
