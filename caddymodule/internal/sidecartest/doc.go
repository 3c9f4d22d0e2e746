// Package sidecartest starts Caddy with the module as a separate process, for the tests of all
// packages of the module.
//
// Packages with many sidecars run their own test binary as Caddy ([Main]). All others share one
// ([Binary]), which is built once, and again when its sources change: testcaddy, with all of Caddy's
// modules, and with those of package teststores. A [Sidecar] has its own ports, folder, environment
// and client, so a test that starts one begins with t.Parallel():
//
//	t.Parallel()
//	provider := sidecartest.NewIDP(t, "https://idp.example.com")
//	s := sidecartest.New(t)
//	s.Start(provider.Site(s, sidecartest.Echo(t), "lifecycle"))
//	got := s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`)
//	sidecartest.WantStatus(t, got, 200)
//
// Every sidecar logs at DEBUG, and at its end its output must not contain a token.
package sidecartest
