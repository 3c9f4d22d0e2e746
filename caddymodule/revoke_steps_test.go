package caddymodule_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A dry run counts so many sessions; what it says of the rest is what the next one is sent with.
// What ends all of them at once counts a page.
func TestLife_RevokeManyInSteps(t *testing.T) {
	t.Parallel()
	const all, step, page = 1001, 1000, 100
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tsession {\n\t\t\tmax_per_user 0\n\t\t}"))
	alice := provider.Token("alice", nil)
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			for i := worker; i < all; i += 16 {
				if got, err := s.TryCreate(alice, `{"user_id":"alice"}`); err != nil || got.Status != http.StatusOK {
					t.Error(got.Status, err)
				}
			}
		})
	}
	group.Wait()
	first := s.Call("DELETE", "?user_id=alice&dry_run=true", alice, "")
	cursor := url.QueryEscape(first.Text("next_cursor"))
	for _, c := range []struct {
		name, query string
		status      int
		want        map[string]any
	}{
		{"the rest is counted from there", "?user_id=alice&dry_run=true&cursor=" + cursor, 200, map[string]any{"would_revoke": 1.0, "more": false}},
		{"nothing is ended from there, where all can be ended at once", "?user_id=alice&cursor=" + cursor, 400, map[string]any{"code": "invalid_cursor"}},
		{"a cursor is what was given", "?user_id=alice&dry_run=true&cursor=x", 400, map[string]any{"code": "invalid_cursor"}},
		{"and not of another filter", "?impersonations=true&dry_run=true&cursor=" + cursor, 400, map[string]any{"code": "invalid_cursor"}},
		{"all is ended at once", "?user_id=alice", 200, map[string]any{"revoked": float64(page), "more": true}},
		{"and then there is no more", "?user_id=alice", 200, map[string]any{"revoked": 0.0, "more": false}},
	} {
		got := s.Call("DELETE", c.query, alice, "")
		if got.Status != c.status {
			t.Errorf("%s: %d %s", c.name, got.Status, got.Body)
		}
		for field, want := range c.want {
			if got.Fields[field] != want {
				t.Errorf("%s: %s is %v, not %v", c.name, field, got.Fields[field], want)
			}
		}
		if _, next := got.Fields["next_cursor"]; next {
			t.Errorf("%s: %s", c.name, got.Body)
		}
	}
	sidecartest.WantStatus(t, first, 200)
	sidecartest.WantFields(t, first, map[string]any{"would_revoke": float64(step), "more": true})
	if cursor == "" {
		t.Error("there is more, and no telling where")
	}
}
