package caddymodule_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/storetest/servertest"
)

// An engine is a server that several nodes share as their store.
type engine struct {
	store string // the words of the Caddyfile

	// Of those that the test has for itself:

	cutFeeds func() // cuts the connections on which nodes hear each other, and nothing else
	stop     func()
	start    func()
}

// engines start one server each, or take the one that tests share which do it no harm.
var engines = map[string]func(t *testing.T, own bool) *engine{}

var engineNames atomic.Int64

// engineName is the name of a schema, or a prefix, that no other test uses.
func engineName() string { return fmt.Sprint("test_", engineNames.Add(1)) }

// A cluster is nodes that share a store and Caddy's storage, as behind one load
// balancer.
type cluster struct {
	*sidecartest.IDP
	engine *engine
	nodes  []*sidecar
}

// newCluster starts as many nodes on the engine. more are words of the block.
func newCluster(t *testing.T, e *engine, size int, more string) *cluster {
	t.Helper()
	return startCluster(t, e, size, more, (*sidecartest.IDP).Site)
}

// newListeningCluster is newCluster whose identity provider says who signed out.
func newListeningCluster(t *testing.T, e *engine, size int) *cluster {
	t.Helper()
	return startCluster(t, e, size, "", func(idp *sidecartest.IDP, s *sidecartest.Sidecar, _, words string) string {
		return listening(idp, s, words, "")
	})
}

// startCluster starts nodes whose site is that.
func startCluster(t *testing.T, e *engine, size int, more string, site func(idp *sidecartest.IDP, s *sidecartest.Sidecar, app, words string) string) *cluster {
	t.Helper()
	c := &cluster{IDP: sidecartest.NewIDP(t, "https://idp.example.com"), engine: e}
	storage, app := t.TempDir(), sidecartest.Echo(t)
	for range size {
		s := newSidecar(t)
		s.Global = "\tstorage file_system " + storage + "\n"
		c.nodes = append(c.nodes, s)
	}
	var starting sync.WaitGroup
	for _, s := range c.nodes {
		starting.Go(func() {
			s.Start(site(c.IDP, s.Sidecar, app, sidecartest.Lifecycle+"\n\t\tidentity\n\t\t"+e.store+"\n\t\t"+more))
		})
	}
	starting.Wait()
	return c
}

// eachEngine runs the test on every engine, and has it for itself where own.
func eachEngine(t *testing.T, own bool, test func(t *testing.T, e *engine)) {
	if len(engines) != 3 {
		t.Fatalf("%d engines", len(engines))
	}
	for name, start := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t, own))
		})
	}
}

// visit asks the app through a node.
func (s *sidecar) visit(token string) sidecartest.Answer {
	s.t.Helper()
	req, err := http.NewRequest("GET", s.URL+"/hello", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	got, err := s.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// waitFeed waits until the node says that of its feed.
func (s *sidecar) waitFeed(state string) {
	s.t.Helper()
	servertest.Until(s.t, "the feed is "+state, func() error {
		if got := s.Ask("GET", "status"); !strings.Contains(got.Body, `"feed":{"state":"`+state+`"`) {
			return errors.New(got.Body)
		}
		return nil
	})
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
		case got.Status == 401:
			return took
		case got.Status != 200:
			s.t.Fatalf("status %d: %s", got.Status, got.Body)
		case took > limit:
			s.t.Fatalf("a revoked access token is good after %s\n%s", took, s.Log())
		}
	}
}

// Covers S5, S1.
func TestCluster_ItsNodesAreAsOne(t *testing.T) {
	t.Parallel()
	eachEngine(t, true, func(t *testing.T, e *engine) {
		c := newCluster(t, e, 3, "refresh_token {\n\t\t\tgrace 75s\n\t\t}")
		t.Run("create here, refresh there, revoke elsewhere", c.createHereRefreshThereRevokeElsewhere)
		t.Run("many are revoked everywhere", c.manyAreRevokedEverywhere)
		t.Run("one successor through all nodes", c.oneSuccessorThroughAllNodes)
		t.Run("a feed that is cut", c.aFeedThatIsCut)
		t.Run("the store is down", c.theStoreIsDown)
	})
}

func (c *cluster) createHereRefreshThereRevokeElsewhere(t *testing.T) {
	alice := c.Token("alice", nil)
	first := c.nodes[0].Create(alice, `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, first, 200)
	second := c.nodes[1].Refresh(first.Text("refresh_token"))
	sidecartest.WantStatus(t, second, 200)
	retry := c.nodes[2].Refresh(first.Text("refresh_token"))
	sidecartest.WantStatus(t, retry, 200)
	if retry.Text("refresh_token") != second.Text("refresh_token") {
		t.Error("a retry at another node got another successor")
	}
	for i, s := range c.nodes {
		sidecartest.WantStatus(t, s.visit(second.Text("access_token")), 200)
		if got := s.Call("GET", "/"+first.Text("session_id"), alice, ""); got.Status != 200 {
			t.Errorf("node %d does not see the session: %s", i, got.Body)
		}
	}
	sidecartest.WantStatus(t, c.nodes[2].Call("DELETE", "/"+first.Text("session_id"), alice, ""), 200)
	sidecartest.WantStatus(t, c.nodes[2].visit(second.Text("access_token")), 401)
	for i, s := range c.nodes[:2] {
		t.Logf("node %d refuses the access token after %s", i, s.refusedWithin(second.Text("access_token"), 5*time.Second))
		sidecartest.WantProblem(t, s.Refresh(second.Text("refresh_token")), 400, "invalid_grant")
	}
}

func (c *cluster) manyAreRevokedEverywhere(t *testing.T) {
	alice := c.Token("alice", nil)
	var tokens []string
	for i := range 10 {
		tokens = append(tokens, c.nodes[i%3].Create(alice, `{"user_id":"alice"}`).Text("access_token"))
	}
	bob := c.nodes[0].Create(c.Token("bob", nil), `{"user_id":"bob"}`)
	sidecartest.WantStatus(t, c.nodes[0].Call("DELETE", "?user_id=alice", alice, ""), 200)
	for _, s := range c.nodes {
		for _, token := range tokens {
			s.refusedWithin(token, 5*time.Second)
		}
		sidecartest.WantStatus(t, s.visit(bob.Text("access_token")), 200)
	}
	// Who comes back is in again, at once and everywhere.
	again := c.nodes[1].Create(alice, `{"user_id":"alice"}`)
	for _, s := range c.nodes {
		sidecartest.WantStatus(t, s.visit(again.Text("access_token")), 200)
	}
}

func (c *cluster) oneSuccessorThroughAllNodes(t *testing.T) {
	first := c.nodes[0].Create(c.Token("alice", nil), `{"user_id":"alice"}`)
	var mu sync.Mutex
	var group sync.WaitGroup
	successors, statuses := make(map[string]int), make(map[string]int)
	for i := range 60 {
		group.Go(func() {
			got := c.nodes[i%3].Refresh(first.Text("refresh_token"))
			for got.Status == http.StatusServiceUnavailable { // of a machine that is too busy: who is told so asks again
				got = c.nodes[i%3].Refresh(first.Text("refresh_token"))
			}
			mu.Lock()
			defer mu.Unlock()
			successors[fmt.Sprint(got.Status, got.Text("refresh_token"))]++
			statuses[fmt.Sprint(got.Status, " ", got.Text("code"))]++
		})
	}
	group.Wait()
	if len(successors) != 1 || statuses["200 "] != 60 {
		t.Errorf("%d successors: %v", len(successors), statuses)
	}
}

// While a node cannot hear the others it asks the store, and refuses all the same.
func (c *cluster) aFeedThatIsCut(t *testing.T) {
	alice := c.Token("alice", nil)
	stop := make(chan struct{})
	var cutting sync.WaitGroup
	cutting.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond): // a feed that is back hears its first heartbeat no sooner
				c.engine.cutFeeds()
			}
		}
	})
	defer cutting.Wait()
	defer close(stop)
	c.nodes[1].WaitLog("revocations of other nodes cannot be heard")
	for range 10 {
		session := c.nodes[0].Create(alice, `{"user_id":"alice"}`)
		sidecartest.WantStatus(t, c.nodes[1].visit(session.Text("access_token")), 200)
		sidecartest.WantStatus(t, c.nodes[0].Call("DELETE", "/"+session.Text("session_id"), alice, ""), 200)
		c.nodes[1].refusedWithin(session.Text("access_token"), 5*time.Second)
	}
}

// With the store down, nobody can tell whether somebody else ended a session: those
// of impersonators wait, those of users go on for a while, and nothing is minted.
func (c *cluster) theStoreIsDown(t *testing.T) {
	alice := c.Token("alice", nil)
	desk := c.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	own := c.nodes[0].Create(alice, `{"user_id":"alice"}`)
	imp := c.nodes[0].Create(desk, `{"user_id":"alice","reason":"ticket"}`)
	ended := c.nodes[0].Create(alice, `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, c.nodes[0].Call("DELETE", "/"+ended.Text("session_id"), alice, ""), 200)
	c.nodes[1].refusedWithin(ended.Text("access_token"), 5*time.Second)
	c.nodes[1].waitFeed("hearing")
	c.engine.stop()
	c.nodes[1].waitFeed("degraded")
	for deadline := time.Now().Add(20 * time.Second); ; {
		got := c.nodes[1].visit(imp.Text("access_token"))
		if got.Status == 503 && got.Header.Get("Retry-After") != "" {
			break
		}
		if got.Status != 200 || time.Now().After(deadline) {
			t.Fatalf("an impersonator with the store down: %d", got.Status)
		}
	}
	sidecartest.WantStatus(t, c.nodes[1].visit(own.Text("access_token")), 200)
	sidecartest.WantStatus(t, c.nodes[1].visit(ended.Text("access_token")), 401)
	for _, got := range []sidecartest.Answer{
		c.nodes[1].Refresh(own.Text("refresh_token")),
		c.nodes[1].Create(alice, `{"user_id":"alice"}`),
		c.nodes[1].Call("DELETE", "/"+own.Text("session_id"), alice, ""),
	} {
		sidecartest.WantProblem(t, got, 503, "unavailable")
		if got.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	c.engine.start()
	servertest.Until(t, "the node serves again", func() error {
		if got := c.nodes[1].visit(imp.Text("access_token")); got.Status != 200 {
			return fmt.Errorf("%d %s", got.Status, got.Body)
		}
		return nil
	})
	var refreshed sidecartest.Answer
	servertest.Until(t, "the server of the cluster that has this session is back too", func() error {
		if refreshed = c.nodes[1].Refresh(own.Text("refresh_token")); refreshed.Status == 503 {
			return errors.New("it answers 503")
		}
		return nil
	})
	sidecartest.WantStatus(t, refreshed, 200)
	sidecartest.WantStatus(t, c.nodes[1].visit(ended.Text("access_token")), 401)
}
