package caddymodule_test

import "testing"

// The store decides between nodes: many tabs at once are one rotation there too.
func TestBrowser_FiftyRequestsThroughTwoNodesAreOneRotation(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		c := newCluster(t, e, 2, "browser")
		p := c.nodes[0].newPerson()
		p.signIn(c.Token("alice", nil), `{"user_id":"alice"}`)
		p.forget(cookie)
		wantOneRotation(t, p.copy(), c.nodes...)
	})
}
