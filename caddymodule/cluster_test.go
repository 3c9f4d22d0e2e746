package caddymodule_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// An engine is a server that several nodes share as their store.
type engine struct {
	store string // the words of the Caddyfile
	// cutFeeds cuts the connections on which nodes hear each other, and nothing else.
	cutFeeds func()
	stop     func()
	start    func()
}

// engines start one server each.
var engines = map[string]func(t *testing.T) *engine{}

// A cluster is nodes that share a store and Caddy's storage, as behind one load
// balancer.
type cluster struct {
	*idp
	engine *engine
	nodes  []*sidecar
}

// newCluster starts as many nodes on the engine. more are words of the block.
func newCluster(t *testing.T, e *engine, size int, more string) *cluster {
	t.Helper()
	c := &cluster{idp: newIDP(t, "https://idp.example.com"), engine: e}
	storage, app := t.TempDir(), echo(t).URL
	for range size {
		s := newSidecar(t, t.TempDir())
		s.words = "\tstorage file_system " + storage + "\n"
		c.nodes = append(c.nodes, s)
	}
	var starting sync.WaitGroup
	for _, s := range c.nodes {
		starting.Go(func() {
			s.start(c.site(s, app, life+"\n\t\tidentity\n\t\t"+e.store+"\n\t\t"+more))
		})
	}
	starting.Wait()
	return c
}

// eachEngine runs the test on every engine.
func eachEngine(t *testing.T, test func(t *testing.T, e *engine)) {
	if len(engines) != 3 {
		t.Fatalf("%d engines", len(engines))
	}
	for name, start := range engines {
		t.Run(name, func(t *testing.T) { test(t, start(t)) })
	}
}

// visit asks the app through a node.
func (s *sidecar) visit(token string) answer {
	s.t.Helper()
	req, err := http.NewRequest("GET", s.url+"/hello", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	got, err := do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// refusedWithin waits until the node refuses the access token, and returns how long
// that took.
func (s *sidecar) refusedWithin(token string, limit time.Duration) time.Duration {
	s.t.Helper()
	began := time.Now()
	for {
		got := s.visit(token)
		took := time.Since(began)
		switch {
		case got.status == 401:
			return took
		case got.status != 200:
			s.t.Fatalf("status %d: %s", got.status, got.body)
		case took > limit:
			s.t.Fatalf("a revoked access token is good after %s\n%s", took, s.log)
		}
	}
}

// Covers S5, S1.
func TestCluster_CreateHereRefreshThereRevokeElsewhere(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *engine) {
		c := newCluster(t, e, 3, "")
		alice := c.token("alice", nil)
		first := create(t, c.nodes[0].url, alice, `{"user_id":"alice"}`)
		wantStatus(t, first, 200)
		second := c.nodes[1].refresh(first.text("refresh_token"))
		wantStatus(t, second, 200)
		retry := c.nodes[2].refresh(first.text("refresh_token"))
		wantStatus(t, retry, 200)
		if retry.text("refresh_token") != second.text("refresh_token") {
			t.Error("a retry at another node got another successor")
		}
		for i, s := range c.nodes {
			wantStatus(t, s.visit(second.text("access_token")), 200)
			if got := s.call("GET", "/"+first.text("session_id"), alice, ""); got.status != 200 {
				t.Errorf("node %d does not see the session: %s", i, got.body)
			}
		}
		wantStatus(t, c.nodes[2].call("DELETE", "/"+first.text("session_id"), alice, ""), 200)
		wantStatus(t, c.nodes[2].visit(second.text("access_token")), 401)
		for i, s := range c.nodes[:2] {
			t.Logf("node %d refuses the access token after %s", i, s.refusedWithin(second.text("access_token"), 5*time.Second))
			wantProblem(t, s.refresh(second.text("refresh_token")), 400, "invalid_grant")
		}
	})
}

func TestCluster_ManyAreRevokedEverywhere(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *engine) {
		c := newCluster(t, e, 3, "")
		alice := c.token("alice", nil)
		var tokens []string
		for i := range 10 {
			tokens = append(tokens, create(t, c.nodes[i%3].url, alice, `{"user_id":"alice"}`).text("access_token"))
		}
		bob := create(t, c.nodes[0].url, c.token("bob", nil), `{"user_id":"bob"}`)
		wantStatus(t, c.nodes[0].call("DELETE", "?user_id=alice", alice, ""), 200)
		for _, s := range c.nodes {
			for _, token := range tokens {
				s.refusedWithin(token, 5*time.Second)
			}
			wantStatus(t, s.visit(bob.text("access_token")), 200)
		}
		// Who comes back is in again, at once and everywhere.
		again := create(t, c.nodes[1].url, alice, `{"user_id":"alice"}`)
		for _, s := range c.nodes {
			wantStatus(t, s.visit(again.text("access_token")), 200)
		}
	})
}

func TestCluster_OneSuccessorThroughAllNodes(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *engine) {
		c := newCluster(t, e, 3, "")
		first := create(t, c.nodes[0].url, c.token("alice", nil), `{"user_id":"alice"}`)
		var mu sync.Mutex
		var group sync.WaitGroup
		successors := make(map[string]int)
		for i := range 60 {
			group.Go(func() {
				got := c.nodes[i%3].refresh(first.text("refresh_token"))
				mu.Lock()
				defer mu.Unlock()
				successors[fmt.Sprint(got.status, got.text("refresh_token"))]++
			})
		}
		group.Wait()
		if len(successors) != 1 {
			t.Errorf("%d successors", len(successors))
		}
	})
}

// While a node cannot hear the others it asks the store, and refuses all the same.
func TestCluster_AFeedThatIsCut(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *engine) {
		c := newCluster(t, e, 2, "")
		alice := c.token("alice", nil)
		stop := make(chan struct{})
		var cutting sync.WaitGroup
		cutting.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					e.cutFeeds()
				}
			}
		})
		defer cutting.Wait()
		defer close(stop)
		c.nodes[1].waitLog("revocations of other nodes cannot be heard")
		for range 10 {
			session := create(t, c.nodes[0].url, alice, `{"user_id":"alice"}`)
			wantStatus(t, c.nodes[1].visit(session.text("access_token")), 200)
			wantStatus(t, c.nodes[0].call("DELETE", "/"+session.text("session_id"), alice, ""), 200)
			c.nodes[1].refusedWithin(session.text("access_token"), 5*time.Second)
		}
	})
}

// With the store down, nobody can tell whether somebody else ended a session: those
// of impersonators wait, those of users go on for a while, and nothing is minted.
func TestCluster_TheStoreIsDown(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *engine) {
		c := newCluster(t, e, 2, "")
		alice := c.token("alice", nil)
		desk := c.token("carol", map[string]any{"scope": "sessions:impersonate"})
		own := create(t, c.nodes[0].url, alice, `{"user_id":"alice"}`)
		imp := create(t, c.nodes[0].url, desk, `{"user_id":"alice","reason":"ticket"}`)
		ended := create(t, c.nodes[0].url, alice, `{"user_id":"alice"}`)
		wantStatus(t, c.nodes[0].call("DELETE", "/"+ended.text("session_id"), alice, ""), 200)
		c.nodes[1].refusedWithin(ended.text("access_token"), 5*time.Second)
		e.stop()
		c.nodes[1].waitLog("revocations of other nodes cannot be heard")
		for deadline := time.Now().Add(20 * time.Second); ; {
			got := c.nodes[1].visit(imp.text("access_token"))
			if got.status == 503 && got.header.Get("Retry-After") != "" {
				break
			}
			if got.status != 200 || time.Now().After(deadline) {
				t.Fatalf("an impersonator with the store down: %d", got.status)
			}
		}
		wantStatus(t, c.nodes[1].visit(own.text("access_token")), 200)
		wantStatus(t, c.nodes[1].visit(ended.text("access_token")), 401)
		for _, got := range []answer{
			c.nodes[1].refresh(own.text("refresh_token")),
			create(t, c.nodes[1].url, alice, `{"user_id":"alice"}`),
			c.nodes[1].call("DELETE", "/"+own.text("session_id"), alice, ""),
		} {
			wantProblem(t, got, 503, "unavailable")
			if got.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
		e.start()
		for deadline := time.Now().Add(60 * time.Second); ; {
			if c.nodes[1].visit(imp.text("access_token")).status == 200 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("it does not recover\n%s", c.nodes[1].log)
			}
			time.Sleep(10 * time.Millisecond) // polling a server that comes back
		}
		wantStatus(t, c.nodes[1].refresh(own.text("refresh_token")), 200)
		wantStatus(t, c.nodes[1].visit(ended.text("access_token")), 401)
	})
}
