package storetest

import (
	"time"

	"github.com/anishathalye/porcupine"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
	"authsidecar/sessions/rowcodec"
)

// A question is a request to a store; answered is the response.
type question struct {
	move      move
	row       string // to create
	presented sessions.Presented
	fresh     sessions.Fresh
}

type answered struct {
	row     string // as stored then; "" for no row
	created bool
	kind    event.Kind
	at      time.Time // of the transition
}

// transition returns the effect of the question on a row.
func (q *question) transition(row sessions.Session, now time.Time) (next sessions.Session, write bool, kind event.Kind) {
	if q.move == moveRevoke {
		if !row.RevokedAt.IsZero() {
			return row, false, event.Denied
		}
		row.RevokedAt, row.EndReason = now, sessions.EndRevoked
		return row, true, event.Revoked
	}
	if q.move == moveOpen {
		var opened bool
		if next, write = open(&q.fresh, &opened)(row, now); opened {
			return next, write, event.Opened
		}
		return next, write, event.Denied
	}
	rules := sessions.Rotation{Grace: linearGrace, Permit: func(*sessions.Session) error { return nil }}
	if q.move == moveArrive {
		if next, write = rules.Confirm(row, q.presented.Generation, now); write {
			kind = confirmed
		}
		return next, write, kind
	}
	next, write, outcome := rules.Present(row, &q.presented, &q.fresh, now)
	return next, write, outcome.Kind
}

// rowModel is a store with one row and no concurrency. Its state is the row, encoded by
// rowcodec.Encode, or "".
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

// model returns the state after the question, and the expected response.
func (q *question) model(key sessions.Key, before string, at time.Time) (after string, want answered) {
	switch {
	case q.move == moveCreate && before == "":
		return q.row, answered{row: q.row, created: true}
	case q.move == moveCreate, q.move == moveGet, before == "":
		return before, answered{row: before}
	}
	row, err := rowcodec.Decode(key, []byte(before))
	if err != nil {
		return before, answered{}
	}
	next, write, kind := q.transition(row, at)
	if !write {
		return before, answered{row: before, kind: kind, at: at}
	}
	data, err := rowcodec.Encode(&next)
	if err != nil {
		return before, answered{}
	}
	return string(data), answered{row: string(data), kind: kind, at: at}
}
