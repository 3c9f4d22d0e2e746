package caddymodule_test

import (
	"net/http"
	"sync"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// The store decides between nodes: many tabs at once are one rotation there too.
func TestBrowser_FiftyRequestsThroughTwoNodesAreOneRotation(t *testing.T) {
	eachEngine(t, false, func(t *testing.T, e *engine) {
		c := newCluster(t, e, 2, "browser")
		p := c.nodes[0].newPerson()
		p.signIn(c.Token("alice", nil), `{"user_id":"alice"}`)
		p.forget(cookie)
		wantOneRotation(t, p.copy(), c.nodes...)
	})
}

// Of many browsers that open one link at once, through two nodes, one has a session.
func TestLink_OpenedThroughTwoNodesAtOnceIsOpenedOnce(t *testing.T) {
	eachEngine(t, false, func(t *testing.T, e *engine) {
		c := newCluster(t, e, 2, "browser")
		for range 5 {
			link := c.nodes[0].handOver(desk(c.IDP), ticket)
			var mu sync.Mutex
			var opened []*person
			var opening sync.WaitGroup
			for i := range 10 {
				opening.Go(func() {
					p := c.nodes[i%2].newPerson()
					got := p.confirm(link.code)
					if got.Status != http.StatusSeeOther {
						wantProblem(t, "who came too late", got, http.StatusBadRequest, "invalid_link")
						return
					}
					mu.Lock()
					defer mu.Unlock()
					opened = append(opened, p)
				})
			}
			opening.Wait()
			if len(opened) != 1 {
				t.Fatalf("%d browsers opened it", len(opened))
			}
			sidecartest.WantIn(t, opened[0].do("GET", "/orders").Body, "X-Auth-User: alice", "X-Auth-Actor: carol")
		}
	})
}
