package pgstore

import (
	"io"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/revocation"
)

// A spoiler stands before the server. Where it is armed, the next statement that returns rows
// returns them all and fails then, as one of a serializable transaction can when it commits.
type spoiler struct{ armed atomic.Bool }

func (s *spoiler) forward(r io.Reader, w io.Writer) {
	server, client := pgproto3.NewFrontend(r, nil), pgproto3.NewBackend(nil, w)
	for rows := false; ; {
		msg, err := server.Receive()
		if err != nil {
			return
		}
		switch msg.(type) {
		case *pgproto3.DataRow:
			rows = true
		case *pgproto3.CommandComplete:
			if rows && s.armed.CompareAndSwap(true, false) {
				msg = &pgproto3.ErrorResponse{Severity: "ERROR", Code: codeSerialization, Message: "could not serialize access"}
			}
			rows = false
		}
		client.Send(msg)
		if client.Flush() != nil {
			return
		}
	}
}

// TestRowsOfATryThatFailedAreNotReported has each read fail after its last row, and tried again.
func TestRowsOfATryThatFailedAreNotReported(t *testing.T) {
	t.Parallel()
	spoil := new(spoiler)
	s := openStore(t, Options{DSN: at(sharedtest.Tap(t, server(t).Port, sharedtest.Forward, spoil.forward))})
	realm, sid, marks := "", "", []string{"mark", "second"}
	ids := []string{"one", "three", "two"}
	for _, id := range ids {
		row := sharedtest.Row(id, s.Now())
		row.ActorSID = "sid"
		row = sharedtest.Create(t, s, row)
		gone := sharedtest.Create(t, s, sharedtest.Row("revoked "+id, s.Now()))
		sharedtest.Revoke(t, s, gone.Key())
		realm = row.Realm
		sid, _ = logout.Names(&row)
		if _, err := s.AddCutoff(ctx(), revocation.Cutoff{ID: id, Realm: realm, Filter: sessions.Filter{User: "bob"}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range marks {
		if err := s.Mark(ctx(), realm, []logout.Mark{{Name: name, At: s.Now(), Until: s.Now().Add(time.Hour)}}); err != nil {
			t.Fatal(err)
		}
	}
	for name, read := range map[string]func() (all any, err error){
		"List": func() (any, error) { return s.List(ctx(), sessions.Query{Realm: realm, User: "alice", Limit: 3}) },
		"Scan": func() (any, error) { return s.Scan(ctx(), "", 6) },
		"Named": func() (all any, err error) {
			n := 0
			err = s.Named(ctx(), realm, sid, func(rows []sessions.Session) error { n += len(rows); return nil })
			return n, err
		},
		"live":     func() (any, error) { all, err := s.live(ctx(), realm, ids); return len(all), err },
		"Marks":    func() (any, error) { all, err := s.Marks(ctx(), realm, marks); return len(all), err },
		"Cutoffs":  func() (any, error) { return s.Cutoffs(ctx(), realm) },
		"Identity": func() (any, error) { return s.Identity(ctx()) },
		"Realms":   func() (any, error) { return s.Realms(ctx()) },
		"Revoked": func() (all any, err error) {
			n := 0
			err = s.Revoked(ctx(), s.Now().Add(-time.Hour), func(sessions.Key, time.Time) { n++ })
			return n, err
		},
	} {
		want, err := read()
		if reflect.ValueOf(want).IsZero() || err != nil {
			t.Fatalf("%s: %v, %v", name, want, err)
		}
		spoil.armed.Store(true)
		got, err := read()
		if spoil.armed.Swap(false) {
			t.Errorf("%s: no statement failed", name)
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, not %+v (%v)", name, got, want, err)
		}
	}
}

// Other than reads, a sweep has an effect, which its first try loses when it commits.
func TestASweepThatIsTriedAgainReportsEachRowOnce(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{})
	for _, id := range []string{"one", "two", "three"} {
		row := sharedtest.Row(id, s.Now())
		row.Idle, row.RotatedAt = 0, s.Now().Add(-time.Minute)
		sharedtest.Create(t, s, row)
	}
	server(t).Exec(t, "postgres", strings.ReplaceAll(`CREATE SEQUENCE {s}.tries;
CREATE FUNCTION {s}.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF nextval(TG_ARGV[0]) = 1 THEN RAISE EXCEPTION 'others were faster' USING ERRCODE = '40001'; END IF;
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER fail AFTER DELETE ON {s}.sessions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {s}.fail('{s}.tries')`, "{s}", s.sql.schema))
	over := 0
	deleted, err := s.Sweep(ctx(), 100, func(*sessions.Session) { over++ })
	if deleted != 3 || over != 3 || err != nil {
		t.Errorf("%d rows were deleted and %d reported, not 3: %v", deleted, over, err)
	}
	if tries := server(t).Exec(t, "postgres", "SELECT last_value FROM "+s.sql.schema+".tries"); tries != "4" { // one failed, then one a row
		t.Errorf("the trigger ran %s times", tries)
	}
}
