package observe

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"authsidecar/sessions"
	"authsidecar/sessions/audit"
	"authsidecar/sessions/event"
	"authsidecar/sessions/pebblestore"
	"authsidecar/sessions/revocation"
)

type plainStore struct{ sessions.Store }

type rotatingStore struct {
	plainStore
	sessions.Rotator
}

type pingingStore struct{ plainStore }

func (pingingStore) Ping(context.Context) error { return nil }
func (pingingStore) Scan(context.Context, string, int) (sessions.Page, error) {
	return sessions.Page{}, nil
}
func (pingingStore) Realms(context.Context) ([]string, error) { return nil, nil }

// A store that is timed can do what it could before, and nothing else.
func TestMeter_HidesNothingAndMakesNothingUp(t *testing.T) {
	for _, tt := range []struct {
		name             string
		store            sessions.Store
		rotates          bool
		pings, remembers bool
	}{
		{"a plain one", plainStore{}, false, false, false},
		{"one that rotates", rotatingStore{}, true, false, false},
		{"one that pings", pingingStore{}, false, true, false},
		{"pebble", new(pebblestore.Store), false, true, true},
	} {
		metered := Meter(tt.store, "test")
		rotating, rotates := sessions.As[sessions.Rotator](metered)
		_, pings := sessions.As[sessions.AdminStore](metered)
		_, remembers := sessions.As[revocation.Store](metered)
		if rotates != tt.rotates || pings != tt.pings || remembers != tt.remembers {
			t.Errorf("%s: rotates %v, pings %v, remembers %v", tt.name, rotates, pings, remembers)
		}
		if rotates && any(rotating) != any(metered) {
			t.Errorf("%s: what requests wait for is not timed", tt.name)
		}
	}
}

// timedOperations returns how often an operation of an engine was timed.
func timedOperations(t *testing.T, engine, operation string) uint64 {
	t.Helper()
	var m dto.Metric
	if err := storeSeconds.WithLabelValues(engine, operation).(prometheus.Histogram).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetHistogram().GetSampleCount()
}

func newPebble(t *testing.T) *pebblestore.Store {
	t.Helper()
	store, err := pebblestore.Open(pebblestore.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func rowOf(n int, now time.Time) sessions.Session {
	return sessions.Session{
		Realm: fmt.Sprintf("realm-%d", n%2), ID: fmt.Sprintf("%022d", n), UserID: fmt.Sprintf("user-%d", n), ClientID: "c", Impersonation: n%3 == 0,
		Actor: sessions.Principal{Issuer: "i", Subject: "s"}, CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(time.Hour), Idle: time.Hour, KeyID: "k",
	}
}

func TestMeter_TimesEachOperationOnce(t *testing.T) {
	storeSeconds.DeletePartialMatch(prometheus.Labels{"engine": "timed"})
	store := Meter(newPebble(t), "timed")
	ctx := t.Context()
	row := rowOf(1, store.Now())
	if _, created, _, err := store.Create(ctx, row); err != nil || !created {
		t.Fatal(created, err)
	}
	_, _ = store.Get(ctx, row.Key())
	_, _ = store.Update(ctx, row.Key(), func(row sessions.Session, _ time.Time) (sessions.Session, bool) { return row, false })
	_, _ = store.List(ctx, sessions.Query{Realm: row.Realm, User: row.UserID, Limit: 1})
	_, _ = store.Sweep(ctx, 1, nil)
	for _, operation := range []string{"create", "get", "update", "list", "sweep"} {
		if n := timedOperations(t, "timed", operation); n != 1 {
			t.Errorf("%s was timed %d times", operation, n)
		}
	}
}

// Live sessions are counted by realm and kind, over many pages; what is over is not.
func TestLiveSessions_CountsTheStore(t *testing.T) {
	store := newPebble(t)
	ctx := t.Context()
	now := store.Now()
	const many = 2*livePage + 7
	want := make(map[string]LiveCount)
	for n := range many {
		row := rowOf(n, now)
		switch n % 10 {
		case 8:
			row.RevokedAt, row.EndReason = now, sessions.EndRevoked
		case 9:
			row.CreatedAt, row.RotatedAt, row.ExpiresAt = now.Add(-time.Hour), now.Add(-time.Hour), now.Add(-time.Minute)
		default:
			c := want[row.Realm]
			c.add(row.Impersonation, 1)
			want[row.Realm] = c
		}
		if _, _, _, err := store.Create(ctx, row); err != nil {
			t.Fatal(err)
		}
	}
	got, _, ok := countLive(ctx, store, store.Now)
	if !ok || len(got) != 2 || got["realm-0"] != want["realm-0"] || got["realm-1"] != want["realm-1"] {
		t.Errorf("counted %v, want %v", got, want)
	}

	live := Live{realms: got}
	before, _ := live.Of("realm-0")
	row := rowOf(0, now)
	live.change(&row, 1)
	if n, _ := live.Of("realm-0"); n.Impersonated != before.Impersonated+1 || n.Own != before.Own {
		t.Errorf("%v became %v", before, n)
	}
	row.Realm = "empty"
	live.change(&row, -1)
	if n, _ := live.Of("empty"); n != (LiveCount{}) {
		t.Errorf("less than nothing: %v", n)
	}
}

// A session that is pending is none yet: it is counted once its link is opened.
func TestLiveSessions_CountsWhatIsPendingOnceItIsOpened(t *testing.T) {
	store := newPebble(t)
	row := rowOf(0, store.Now())
	row.Pending = &sessions.Pending{Life: time.Hour}
	if _, _, _, err := store.Create(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	counted, _, ok := countLive(t.Context(), store, store.Now)
	live := Live{realms: counted}
	live.count(&sessions.Event{Kind: event.Created, Session: &row})
	live.count(&sessions.Event{Kind: event.Revoked, Session: &row})
	if n, _ := live.Of(row.Realm); !ok || n != (LiveCount{}) {
		t.Errorf("counted %v", n)
	}
	opened := row
	opened.Pending = nil
	live.count(&sessions.Event{Kind: event.Opened, Session: &opened})
	if n, _ := live.Of(row.Realm); n.Impersonated != 1 {
		t.Errorf("counted %v", n)
	}
}

// A slowStore takes a while for each of its pages.
type slowStore struct {
	plainStore
	took  time.Duration
	scans int
}

func (*slowStore) Now() time.Time                           { return time.Now() }
func (*slowStore) Ping(context.Context) error               { return nil }
func (*slowStore) Realms(context.Context) ([]string, error) { return nil, nil }

func (s *slowStore) Scan(_ context.Context, cursor string, _ int) (sessions.Page, error) {
	time.Sleep(s.took)
	if s.scans++; cursor == "" {
		return sessions.Page{Next: "x"}, nil
	}
	return sessions.Page{}, nil
}

// A store is read through every five minutes, and a large one for half a percent of the time.
func TestLiveSessions_ReadsALargeStoreSeldom(t *testing.T) {
	const day = 24 * time.Hour
	for took, most := range map[time.Duration]int{
		time.Millisecond: int(day / liveEvery),
		10 * time.Second: int(day / (2 * 10 * time.Second * liveShare)),
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), day)
			defer cancel()
			store := &slowStore{took: took}
			new(Live).Run(ctx, store)
			if times := (store.scans + 1) / 2; times < most*9/10 || times > most+1 {
				t.Errorf("pages of %v: read %d times a day, want some %d", took, times, most)
			}
		})
	}
}

// Links have a counter of their own, with the outcome.
func TestMetrics_CountLinks(t *testing.T) {
	const realm = "https://links.example.com"
	s := &sessions.Session{EndReason: sessions.EndPolicy}
	for _, e := range []sessions.Event{
		{Kind: event.Opened},
		{Kind: event.Denied, Err: sessions.ErrLink},
		{Kind: event.Denied, Err: sessions.ErrOpener},
		{Kind: event.Revoked, Err: fmt.Errorf("%w: %w", sessions.ErrLink, sessions.ErrDenied)},
		{Kind: event.Revoked},
	} {
		e.Session = s
		count(realm, &e)
	}
	for outcome, want := range map[string]float64{"opened": 1, "denied": 2, "policy": 1} {
		var m dto.Metric
		if err := opens.WithLabelValues(realm, outcome).Write(&m); err != nil || m.GetCounter().GetValue() != want {
			t.Errorf("%s %v, want %v (%v)", outcome, m.GetCounter().GetValue(), want, err)
		}
	}
	var m dto.Metric
	if err := creates.WithLabelValues(realm, "denied").Write(&m); err != nil || m.GetCounter().GetValue() != 0 {
		t.Error("a link that is denied counts as a session that was")
	}
}

// The fields of a line are not moved each time one more comes.
func TestLogRecord_MakesItsFieldsOnce(t *testing.T) {
	logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.AddSync(io.Discard), zapcore.InfoLevel))
	record := &audit.Record{
		Event: "created", Issuer: "https://app.example.com", SessionID: "s1", UserID: "alice", ClientID: "app", Rule: "self",
		Actor: sessions.Principal{Issuer: "https://idp.example.com", Subject: "alice"}, ClientIP: "192.0.2.1",
	}
	known := testing.AllocsPerRun(100, func() { record.Fields() })
	if got := testing.AllocsPerRun(100, func() { logRecord(logger, zapcore.InfoLevel, record, audit.Position{}) }); got > known+5 {
		t.Errorf("%v allocations, of which %v are the fields'", got, known)
	}
}
