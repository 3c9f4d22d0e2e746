package revocation

import (
	"context"
	"testing"
	"time"

	"authsidecar/sessions"
)

type rows interface{ sessions.Store }

// A bare store has a clock and no cutoffs.
type bare struct {
	rows
	Store

	now time.Time
}

func (b bare) Now() time.Time { return b.now }

func (bare) Cutoffs(context.Context, string) ([]Cutoff, error) { return nil, nil }

func (b bare) AddCutoff(_ context.Context, c Cutoff) (Cutoff, error) { c.At = b.now; return c, nil }

func (bare) RemoveCutoff(context.Context, Cutoff) error { return nil }

// What was done for cutoffs would otherwise take memory for good, on each node but the one that removes
// them, and wherever a user signs out everywhere again and again.
func TestWatcher_NothingIsLeftOfACutoffThatIsNoLongerInForce(t *testing.T) {
	at := time.UnixMilli(1_000_000).UTC()
	old := Cutoff{ID: "old", Realm: "r", Filter: sessions.Filter{User: "alice"}, At: at}
	newer := Cutoff{ID: "newer", Realm: "r", Filter: sessions.Filter{User: "alice"}, At: at.Add(time.Second)}
	for name, end := range map[string]func(w *Watcher) error{
		"another node replaces it": func(w *Watcher) error { (&follower{w: w}).Cutoff(newer); return nil },
		"this node replaces it": func(w *Watcher) error {
			w.Store = bare{now: newer.At}
			return w.AddCutoff(t.Context(), "r", newer.Filter, sessions.Principal{})
		},
		"another node removes it": func(w *Watcher) error {
			w.Store = bare{now: at.Add(cutoffRetention)}
			return w.LoadCutoffs(t.Context(), "r")
		},
	} {
		w := new(Watcher)
		w.add(old)
		w.swept.Store(old.ID, nil)
		if err := end(w); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, left := w.swept.Load(old.ID); left {
			t.Errorf("%s: it is remembered that its rows are revoked", name)
		}
	}
}
