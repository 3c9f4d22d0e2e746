package pgstore

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
)

// mostCounted limits the cost of counting. For a user with more sessions the count is math.MaxInt.
const mostCounted = 1000

// Create inserts the row unless its key exists, and counts the user's sessions of that kind:
// math.MaxInt if there are more than mostCounted. Of concurrent calls for one user, each counts the
// earlier ones.
func (s *Store) Create(ctx context.Context, row sessions.Session) (stored sessions.Session, created bool, count int, err error) {
	p := putting{store: s, user: hashUser(row.UserID)}
	put := p.put
	if row.CreatedAt.IsZero() {
		put = p.begin
		now := s.Now()
		row.Begin(now, now)
	}
	if p.w, err = encode(&row); err != nil {
		return stored, false, 0, err
	}
	for range tries {
		if err := put(ctx); err != nil {
			return stored, false, 0, err
		}
		if p.created {
			return p.w.Session, true, p.count, nil
		}
		if p.found {
			return p.old, false, 0, nil
		}
		// Another statement has just inserted it, so this one came too late to insert it and too
		// early to see it.
	}
	return stored, false, 0, calls.ErrContended
}

// putting is a row that is being inserted.
type putting struct {
	store *Store
	w     *storedRow
	user  []byte

	created, found bool
	count          int
	old            sessions.Session // what exists instead
}

// put inserts the row unchanged, or reads the existing one.
func (p *putting) put(ctx context.Context) error {
	s := p.store
	if !p.w.Session.RevokedAt.IsZero() {
		return s.query(ctx, s.sql.createEnded, p.args(), p.read)
	}
	return p.locked(ctx, s.sql.create, p.read)
}

// begin inserts the row as one that begins now. Its id is usually new; otherwise another statement
// reads the existing row.
func (p *putting) begin(ctx context.Context) (err error) {
	s := p.store
	if err = p.locked(ctx, s.sql.begin, p.began); err != nil || p.created {
		return err
	}
	found, err := s.get(ctx, p.w.Session.Key())
	if errors.Is(err, sessions.ErrNotFound) { // it was swept meanwhile
		return nil
	}
	p.old, p.found = found.row, err == nil
	return err
}

func (p *putting) args() *args {
	row := &p.w.Session
	a := p.store.at().text(row.Realm).text(row.ID)
	a.int(rand.Int64N(math.MaxInt64 / 2)) //nolint:gosec // not a secret: distinguishes the row from an earlier one with its key
	a = p.w.lasting(p.w.changing(a))
	if !row.RevokedAt.IsZero() {
		a.string(name(row.Key()))
	}
	return a
}

// locked takes the lock of the user before a statement that counts. Both are sent together, as one
// transaction.
func (p *putting) locked(ctx context.Context, sql string, read func(*reader) error) error {
	s, row := p.store, &p.w.Session
	kind := byte(0)
	if row.Impersonation {
		kind = 1
	}
	lock := hash("user", s.sql.schema, row.Realm, string(p.user), string(kind))
	lane, err := s.lanes.Exclusive(ctx, hash32(lock))
	if err != nil {
		return err
	}
	defer lane.Leave()
	return s.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		p.created = false // when it is retried after having no effect
		asked := s.clock.Passed()
		batch := new(pgx.Batch)
		batch.Queue(s.sql.lock, int64(binary.BigEndian.Uint64(lock)))
		batch.Queue(sql, *p.args()...).Query(func(rows pgx.Rows) error { return readRows(asked, rows, read) })
		return conn.SendBatch(ctx, batch).Close()
	})
}

// began reads when the row began, its position, and how many others there are.
func (p *putting) began(r *reader) error {
	at := *r
	if err := p.store.learn(r); err != nil {
		return err
	}
	place := fromMillis(r.int())
	p.setCount(r)
	if p.created = r.err == nil; p.created {
		p.w.Session.Begin(fromMillis(at.int()), place)
	}
	return r.err
}

// setCount reads how many others there are.
func (p *putting) setCount(r *reader) {
	if p.count = int(r.int()) + 1; p.count > mostCounted {
		p.count = math.MaxInt
	}
}

// read reads the result of put.
func (p *putting) read(r *reader) error {
	if err := p.store.learn(r); err != nil {
		return err
	}
	p.created = r.bool()
	p.setCount(r)
	if p.created || r.err != nil || r.values[0] == nil {
		return r.err
	}
	old, _, err := readRow(p.w.Session.Key(), r)
	p.old, p.found = old, err == nil
	return err
}
