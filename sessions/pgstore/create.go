package pgstore

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/internal/storedrow"
)

// maxCounted limits the cost of counting. For a user with more sessions the count is math.MaxInt.
const maxCounted = 1000

// Create inserts the row unless its key exists, and counts the user's sessions of that kind:
// math.MaxInt if there are more than maxCounted. Of concurrent calls for one user, each counts the
// earlier ones.
func (s *Store) Create(ctx context.Context, row sessions.Session) (stored sessions.Session, created bool, count int, err error) {
	p := insertion{store: s, user: hashUser(row.UserID)}
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
			if count = p.others + 1; count > maxCounted {
				count = math.MaxInt
			}
			return p.w.Session, true, count, nil
		}
		if p.found {
			return p.old.row, false, 0, nil
		}
		// Another statement has just inserted it, so this one came too late to insert it and too
		// early to see it.
	}
	return stored, false, 0, calls.ErrContended
}

// insertion is a row that is being inserted.
type insertion struct {
	store *Store
	w     *storedRow
	user  []byte

	created, found bool
	others         int
	old            foundRow // what exists instead
}

// put inserts the row unchanged, or reads the existing one.
func (p *insertion) put(ctx context.Context) error {
	s := p.store
	if !p.w.Session.RevokedAt.IsZero() {
		return s.query(ctx, s.text(sqlCreateRevoked), p.args(), p.read, p.into()...)
	}
	return p.locked(ctx, sqlCreate, p.read, p.into())
}

// begin inserts the row as one that begins now. Its id is usually new; otherwise another statement
// reads the existing row.
func (p *insertion) begin(ctx context.Context) (err error) {
	s := p.store
	var at, place time.Time
	began := func() error {
		p.created = true
		p.w.Session.Begin(at, place)
		return nil
	}
	if err = p.locked(ctx, sqlBegin, began, []any{s.now(&at), (*moment)(&place), &p.others}); err != nil || p.created {
		return err
	}
	found, err := s.get(ctx, p.w.Session.Key())
	if errors.Is(err, sessions.ErrNotFound) { // it was swept meanwhile
		return nil
	}
	p.old, p.found = *found, err == nil
	return err
}

func (p *insertion) args() []any {
	row := &p.w.Session
	rev := rand.Int64N(math.MaxInt64 / 2) //nolint:gosec // not a secret: distinguishes the row from an earlier one with its key
	a := slices.Concat([]any{row.Realm, row.ID, rev}, p.w.changing(), p.w.lasting())
	if !row.RevokedAt.IsZero() {
		a = append(a, name(row.Key()))
	}
	return p.store.timed(a...)
}

// locked takes the lock of the user before a statement that counts. Both are sent together, as one
// transaction.
func (p *insertion) locked(ctx context.Context, sql statement, read func() error, into []any) error {
	s, row := p.store, &p.w.Session
	kind := byte(0)
	if row.Impersonation {
		kind = 1
	}
	lock := storedrow.Hash("user", s.sql.schema, row.Realm, string(p.user), string(kind))
	lane, err := s.lanes.Exclusive(ctx, hash32(lock))
	if err != nil {
		return err
	}
	defer lane.Leave()
	return s.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		p.created = false // when it is retried after having no effect
		markAsked(into)
		batch := new(pgx.Batch)
		batch.Queue(s.text(sqlLock), int64(binary.BigEndian.Uint64(lock)))
		batch.Queue(s.text(sql), p.args()...).Query(func(rows pgx.Rows) error {
			_, err := pgx.ForEachRow(rows, into, read)
			return err
		})
		return conn.SendBatch(ctx, batch).Close()
	})
}

// into returns what the result of put is scanned into.
func (p *insertion) into() []any {
	return append(p.old.columns(p.store.now(&p.old.at), &p.created, &p.others), nil)
}

// read reads the result of put.
func (p *insertion) read() (err error) {
	if p.found = false; !p.created && p.old.data != nil {
		err = p.old.decode(p.w.Session.Key())
		p.found = err == nil
	}
	return err
}
