// Package sidecartest starts Caddy with the module as a separate process, for the tests of all
// packages of the module.
//
// All of them share one binary ([Binary]), which is built once, and again when its sources change.
// It includes package testcaddy: stores that fail on purpose, and the like. A [Sidecar] has its own
// ports, folder, environment and client, so a test that starts one begins with t.Parallel():
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
