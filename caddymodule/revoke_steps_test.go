package caddymodule_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
)

// A request counts and ends so many sessions; what it says of the rest is what the next
// one is sent with.
func TestLife_RevokeManyInSteps(t *testing.T) {
	t.Parallel()
	const all, step = 1001, 1000
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, life+"\n\t\tsession {\n\t\t\tmax_per_user 0\n\t\t}"))
	alice := provider.token("alice", nil)
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			for i := worker; i < all; i += 16 {
				if got, err := tryCreate(s.url, alice, `{"user_id":"alice"}`); err != nil || got.status != http.StatusOK {
					t.Error(got.status, err)
				}
			}
		})
	}
	group.Wait()
	first := s.call("DELETE", "?user_id=alice&dry_run=true", alice, "")
	cursor := url.QueryEscape(first.text("next_cursor"))
	for _, c := range []struct {
		name, query string
		status      int
		want        map[string]any
	}{
		{"the rest is counted from there", "?user_id=alice&dry_run=true&cursor=" + cursor, 200, map[string]any{"revoked": 1.0, "more": false}},
		{"nothing is ended from there, where all can be ended at once", "?user_id=alice&cursor=" + cursor, 400, map[string]any{"code": "invalid_cursor"}},
		{"a cursor is what was given", "?user_id=alice&dry_run=true&cursor=x", 400, map[string]any{"code": "invalid_cursor"}},
		{"and not of another filter", "?impersonations=true&dry_run=true&cursor=" + cursor, 400, map[string]any{"code": "invalid_cursor"}},
		{"all is ended at once", "?user_id=alice", 200, map[string]any{"revoked": float64(step), "more": true}},
		{"and then there is no more", "?user_id=alice", 200, map[string]any{"revoked": 0.0, "more": false}},
	} {
		got := s.call("DELETE", c.query, alice, "")
		if got.status != c.status {
			t.Errorf("%s: %d %s", c.name, got.status, got.body)
		}
		for field, want := range c.want {
			if got.fields[field] != want {
				t.Errorf("%s: %s is %v, not %v", c.name, field, got.fields[field], want)
			}
		}
		if _, next := got.fields["next_cursor"]; next {
			t.Errorf("%s: %s", c.name, got.body)
		}
	}
	wantStatus(t, first, 200)
	wantFields(t, first, map[string]any{"revoked": float64(step), "more": true})
	if cursor == "" {
		t.Error("there is more, and no telling where")
	}
}
