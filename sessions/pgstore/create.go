package pgstore

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"

	"github.com/jackc/pgx/v5/pgconn"

	"authsidecar/sessions"
)

// mostCounted bounds what counting costs. Who has more has too many for all that
// anybody knows: then he is told that there is no end of them.
const mostCounted = 1000

// Create puts the row if no row of that key exists.
func (s *Store) Create(ctx context.Context, row sessions.Session) (stored sessions.Session, created bool, err error) {
	stored, created, _, err = s.put(ctx, &row, false)
	return stored, created, err
}

// CreateCounted is Create, and counts the user's sessions of that kind, this one
// among them; math.MaxInt where there are more than a thousand. Of those who do so at
// once for one user, each counts the ones before it.
func (s *Store) CreateCounted(ctx context.Context, row sessions.Session) (stored sessions.Session, created bool, count int, err error) {
	return s.put(ctx, &row, true)
}

func (s *Store) put(ctx context.Context, row *sessions.Session, counted bool) (stored sessions.Session, created bool, count int, err error) {
	if err := s.enter(ctx); err != nil {
		return stored, false, 0, err
	}
	defer s.leave()
	p := putting{store: s, user: hashUser(row.UserID), counted: counted, begins: row.CreatedAt.IsZero()}
	if p.begins {
		now := s.Now()
		row.Begin(now, now)
	}
	if p.w, err = encode(row); err != nil {
		return stored, false, 0, err
	}
	for range tries {
		if err := p.put(ctx); err != nil {
			return stored, false, 0, err
		}
		if p.created {
			return p.w.row, true, p.count, nil
		}
		if p.found {
			return p.old, false, 0, nil
		}
		// It was put by somebody else a moment ago, so that this statement was too
		// late to put it and too early to see it.
	}
	return stored, false, 0, errContended
}

// putting is a row on its way into the store.
type putting struct {
	store   *Store
	w       *storedRow
	user    []byte
	counted bool
	begins  bool

	created, found bool
	count          int
	old            sessions.Session // what was found instead
}

func (p *putting) put(ctx context.Context) error {
	s := p.store
	sql := s.sql.create
	switch {
	case !p.w.row.RevokedAt.IsZero():
		sql = s.sql.createEnded
	case p.counted:
		return p.putCounted(ctx)
	}
	return s.query(ctx, sql, p.args(), p.read)
}

func (p *putting) args() *args {
	row := &p.w.row
	a := p.store.at().text(row.Realm).text(row.ID)
	a.int(rand.Int64N(math.MaxInt64 / 2)) //nolint:gosec // no secret: it tells a row from one that had its name before
	a = p.w.lasting(p.w.changing(a)).bool(p.begins)
	if !row.RevokedAt.IsZero() {
		a.string(name(row.Key()))
	}
	return a
}

// putCounted takes the lock of the user before it counts: both are one transaction,
// since they are sent as one.
func (p *putting) putCounted(ctx context.Context) error {
	s, row := p.store, &p.w.row
	kind := byte(0)
	if row.Impersonation {
		kind = 1
	}
	lock := hash("user", s.sql.schema, row.Realm, string(p.user), string(kind))
	door := s.door(lock)
	if err := s.line(ctx, door); err != nil {
		return err
	}
	defer door.leave()
	return s.do(ctx, func(ctx context.Context, conn *pgconn.PgConn) error {
		batch := new(pgconn.Batch)
		a := new(args).int(int64(binary.BigEndian.Uint64(lock)))
		batch.ExecParams(s.sql.lock, a.values, a.types, a.formats, allBinary)
		a = p.args()
		batch.ExecParams(s.sql.createCounted, a.values, a.types, a.formats, allBinary)
		asked := s.clock.Passed()
		answers := conn.ExecBatch(ctx, batch)
		locked := func(*reader) error { return nil }
		var err error
		for _, read := range []func(*reader) error{locked, p.read} {
			if err == nil && answers.NextResult() {
				err = readRows(asked, answers.ResultReader(), read)
			}
		}
		if closing := answers.Close(); closing != nil {
			return closing
		}
		return err
	})
}

func (p *putting) read(r *reader) error {
	at := *r
	if err := p.store.learn(r); err != nil {
		return err
	}
	created, place := r.bool(), fromMillis(r.int())
	p.count = int(r.int()) + 1
	if p.count > mostCounted {
		p.count = math.MaxInt
	}
	if p.created = created; created && p.begins {
		p.w.row.Begin(fromMillis(at.int()), place)
	}
	if p.created || r.err != nil || r.values[0] == nil {
		return r.err
	}
	old, _, err := readRow(p.w.row.Key(), r)
	p.old, p.found = old, err == nil
	return err
}

// Interface guards
var _ sessions.CountingStore = (*Store)(nil)
