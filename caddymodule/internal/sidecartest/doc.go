// Package sidecartest starts Caddy with the module, as a process of its own, for the tests of all
// packages of the module.
//
// All of them share one binary ([Binary]), which is built once and again when its sources change.
// It has what package testcaddy adds: stores that fail on purpose, and the like. A [Sidecar] has
// its ports, its folder, its environment and its client to itself, so that a test that starts one
// begins with t.Parallel():
//
//	t.Parallel()
//	provider := sidecartest.NewIDP(t, "https://idp.example.com")
//	s := sidecartest.New(t)
//	s.Start(provider.Site(s, sidecartest.Echo(t), "lifecycle"))
//	got := s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`)
//	sidecartest.WantStatus(t, got, 200)
//
// Every sidecar logs at DEBUG, and at its end no token may be in what it wrote.
package sidecartest
