package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/pebblestore"
	"authsidecar/sessions/revocation"
)

var copyNoon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func openPebble(t *testing.T) sessions.Store {
	t.Helper()
	store, err := pebblestore.Open(pebblestore.Options{Dir: t.TempDir(), Now: func() time.Time { return copyNoon }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// fill makes n sessions of two realms; each tenth one is ended.
func fill(t *testing.T, store sessions.Store, n int) {
	t.Helper()
	for i := range n {
		row := sessions.Session{
			Realm: fmt.Sprint("https://realm", i%2), ID: fmt.Sprintf("session-%05d", i), UserID: fmt.Sprint("user", i%7), ClientID: "app",
			Impersonation: i%3 == 0, Actor: sessions.Principal{Issuer: "https://idp.example.com", Subject: "carol"},
			ActorClaims: sessions.Claims{"scope": "a b", "level": int64(4), "rate": 1.5, "roles": []any{"x"}}, Reason: "why \"not\"",
			CreatedAt: copyNoon, RotatedAt: copyNoon, ExpiresAt: copyNoon.Add(24 * time.Hour), Idle: time.Hour, Generation: uint64(i % 5), KeyID: "k",
			Cookies: i%2 == 1,
		}
		row.Secret[0] = byte(i)
		if _, _, _, err := store.Create(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			revokeRow(t, store, row.Key())
		}
	}
	_, err := store.(revocation.Store).AddCutoff(t.Context(), revocation.Cutoff{
		ID: "cut", Realm: "https://realm1", Filter: sessions.Filter{User: "user1"}, At: copyNoon, By: sessions.Principal{Subject: "admin"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, realm := range []string{"https://realm0", "https://realm1", "https://nobody-left"} {
		mark := logout.Mark{Name: fmt.Sprint("mark-", i), At: copyNoon, Until: copyNoon.Add(time.Hour)}
		if err := store.(logout.Store).Mark(t.Context(), realm, []logout.Mark{mark, {Name: "over", At: copyNoon, Until: copyNoon}}); err != nil {
			t.Fatal(err)
		}
	}
}

func revokeRow(t *testing.T, store sessions.Store, key sessions.Key) {
	t.Helper()
	_, err := store.Update(t.Context(), key, func(row sessions.Session, now time.Time) (sessions.Session, bool) {
		row.RevokedAt, row.EndReason = now, sessions.EndRevoked
		return row, true
	})
	if err != nil {
		t.Fatal(err)
	}
}

func runCopy(t *testing.T, from, to sessions.Store) (*copyReport, error) {
	t.Helper()
	c := copier{from: from, to: to, progress: func(what string) *progress { return newProgress(io.Discard, what, -1) }, pause: noPause}
	return c.run(t.Context())
}

func noPause(context.Context, time.Duration) bool { return true }

// busy refuses each create twice.
type busy struct {
	sessions.Store
	asked sync.Map
}

func (b *busy) Unwrap() sessions.Store { return b.Store }

func (b *busy) Create(ctx context.Context, row sessions.Session) (sessions.Session, bool, int, error) {
	times, _ := b.asked.LoadOrStore(row.ID, new(atomic.Int64))
	if times.(*atomic.Int64).Add(1) <= 2 { //nolint:forcetypeassert // nothing else is in it
		return sessions.Session{}, false, 0, sessions.ErrUnavailable
	}
	return b.Store.Create(ctx, row)
}

func TestCopy_AStoreThatIsBusyIsAskedAgain(t *testing.T) {
	from := openPebble(t)
	fill(t, from, 100)
	wantCopied(t, from, &busy{Store: openPebble(t)}, copyReport{Read: 100, Created: 100, Cutoffs: 1, Marks: 3, Checked: 100})
}

func wantCopied(t *testing.T, from, to sessions.Store, want copyReport) {
	t.Helper()
	got, err := runCopy(t, from, to)
	if err != nil {
		t.Fatal(err)
	}
	if *got != want {
		t.Errorf("%+v, want %+v", *got, want)
	}
}

// broken fails after so many creates.
type broken struct {
	sessions.Store
	left atomic.Int64
}

func (b *broken) Unwrap() sessions.Store { return b.Store }

func (b *broken) Create(ctx context.Context, row sessions.Session) (sessions.Session, bool, int, error) {
	if b.left.Add(-1) < 0 {
		return sessions.Session{}, false, 0, sessions.ErrUnavailable
	}
	return b.Store.Create(ctx, row)
}

func TestCopy_GoesOnWhereItWasBrokenOff(t *testing.T) {
	from, to := openPebble(t), openPebble(t)
	fill(t, from, 2500)
	for _, creates := range []int64{0, 700, 1100} {
		failing := &broken{Store: to}
		failing.left.Store(creates)
		if _, err := runCopy(t, from, failing); !errors.Is(err, sessions.ErrUnavailable) || !strings.Contains(err.Error(), "repeat the command") {
			t.Fatalf("error %v", err)
		}
	}
	report, err := runCopy(t, from, to)
	if err != nil {
		t.Fatal(err)
	}
	if report.Read != 2500 || report.Checked != 2500 || report.Cutoffs != 1 || report.Created == 0 || report.Same+report.Updated < 1000 {
		t.Errorf("%+v", *report)
	}
	wantCopied(t, from, to, copyReport{Read: 2500, Same: 2500, Cutoffs: 1, Marks: 3, Checked: 2500})
}

// The target is what the source is: each row, each listing, and what it remembers as
// ended.
func TestCopy_IsTheSameInEveryWay(t *testing.T) {
	from, to := openPebble(t), openPebble(t)
	fill(t, from, 300)
	wantCopied(t, from, to, copyReport{Read: 300, Created: 300, Cutoffs: 1, Marks: 3, Checked: 300})
	for _, realm := range []string{"https://realm0", "https://realm1"} {
		for user := range 7 {
			query := sessions.Query{Realm: realm, User: fmt.Sprint("user", user), Limit: 1000}
			want, err := from.List(t.Context(), query)
			if err != nil {
				t.Fatal(err)
			}
			have, err := to.List(t.Context(), query)
			if err != nil || fmt.Sprint(have.Sessions) != fmt.Sprint(want.Sessions) || len(want.Sessions) == 0 {
				t.Errorf("%s %s: %d sessions, want %d (%v)", realm, query.User, len(have.Sessions), len(want.Sessions), err)
			}
		}
	}
	ended := func(store sessions.Store) (n int) {
		log, ok := sessions.As[revocation.Store](store)
		if !ok {
			t.Fatal("the store remembers nothing")
		}
		if err := log.Revoked(t.Context(), copyNoon.Add(-time.Hour), func(sessions.Key, time.Time) { n++ }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if have, want := ended(to), ended(from); have != want || want != 30 {
		t.Errorf("%d are remembered as ended, want %d", have, want)
	}
}

func TestCopy_BringsUpToDateAndNeverBack(t *testing.T) {
	change := func(do func(*sessions.Session)) func(*testing.T, sessions.Store) {
		return func(t *testing.T, store sessions.Store) {
			t.Helper()
			_, err := store.Update(t.Context(), sessions.Key{Realm: "https://realm1", ID: "session-00001"}, func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
				do(&row)
				return row, true
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	rotate := change(func(s *sessions.Session) { s.Generation++; s.Secret[1]++ })
	end := change(func(s *sessions.Session) { s.RevokedAt, s.EndReason = copyNoon, sessions.EndReuse })
	other := change(func(s *sessions.Session) { s.Secret[1]++ })
	confirm := change(func(s *sessions.Session) { s.Confirmed, s.ConfirmedAt = s.Generation, copyNoon })
	renew := change(func(s *sessions.Session) { s.RotatedAt = s.RotatedAt.Add(time.Minute) })
	otherLater := change(func(s *sessions.Session) { s.Secret[1]++; s.RotatedAt = s.RotatedAt.Add(time.Minute) })
	tests := []struct {
		name           string
		source, target func(*testing.T, sessions.Store)
		want           copyReport
		says           string
	}{
		{"rotated in the source", rotate, nil, copyReport{Read: 2, Updated: 1, Same: 1, Cutoffs: 1, Marks: 3, Checked: 2}, ""},
		{"ended in the source", end, nil, copyReport{Read: 2, Updated: 1, Same: 1, Cutoffs: 1, Marks: 3, Checked: 2}, ""},
		{"rotated in the target", nil, rotate, copyReport{Read: 2, Newer: 1, Same: 1, Cutoffs: 1, Marks: 3, Checked: 2}, ""},
		{"ended in the target", nil, end, copyReport{Read: 2, Newer: 1, Same: 1, Cutoffs: 1, Marks: 3, Checked: 2}, ""},
		{"ended in the target, rotated in the source", rotate, end, copyReport{Read: 2, Newer: 1, Same: 1, Cutoffs: 1, Marks: 3, Checked: 2}, ""},
		{"confirmed in the source", confirm, nil, copyReport{Read: 2, Updated: 1, Same: 1, Cutoffs: 1, Marks: 3, Checked: 2}, ""},
		{"confirmed in the target", nil, confirm, copyReport{Read: 2, Newer: 1, Same: 1, Cutoffs: 1, Marks: 3, Checked: 2}, ""},
		{"renewed in the source", renew, nil, copyReport{Read: 2, Updated: 1, Same: 1, Cutoffs: 1, Marks: 3, Checked: 2}, ""},
		{"renewed in the target", nil, renew, copyReport{Read: 2, Newer: 1, Same: 1, Cutoffs: 1, Marks: 3, Checked: 2}, ""},
		{"of the same generation, and another", nil, other, copyReport{}, "not what was copied"},
		{"of the same generation, and another that is later", nil, otherLater, copyReport{}, "not what was copied"},
		{"of the same generation, and another that is earlier", otherLater, nil, copyReport{}, "not what was copied"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			from, to := openPebble(t), openPebble(t)
			fill(t, from, 2)
			wantCopied(t, from, to, copyReport{Read: 2, Created: 2, Cutoffs: 1, Marks: 3, Checked: 2})
			if test.source != nil {
				test.source(t, from)
			}
			if test.target != nil {
				test.target(t, to)
			}
			if test.says == "" {
				wantCopied(t, from, to, test.want)
				return
			}
			if _, err := runCopy(t, from, to); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestCopy_RefusesATargetWithOtherSessions(t *testing.T) {
	from, to := openPebble(t), openPebble(t)
	fill(t, from, 2)
	row, err := from.Get(t.Context(), sessions.Key{Realm: "https://realm1", ID: "session-00001"})
	if err != nil {
		t.Fatal(err)
	}
	row.UserID = "somebody else"
	if _, _, _, err := to.Create(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	if _, err := runCopy(t, from, to); !errors.Is(err, errDiffers) {
		t.Errorf("error %v", err)
	}
}
