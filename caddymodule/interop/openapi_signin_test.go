package interop

import (
	"net/http"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/browser/signin/signintest"
)

func signInDescribed(t *testing.T, c *contract) {
	s := &scene{Sidecar: sidecartest.New(t), t: t}
	c.watch(s.Sidecar)
	s.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	provider := s.startSignIn("")
	const path = "/auth/sessions/sign-in"
	problem := func(got sidecartest.Answer, status int, code string) {
		t.Helper()
		sidecartest.WantStatus(t, got, status)
		sidecartest.WantFields(t, got, map[string]any{"code": code})
	}
	finish := func(more string) sidecartest.Answer {
		t.Helper()
		began := s.send("GET", path+"?return_to=%2Forders", "")
		sidecartest.WantStatus(t, began, 303)
		cookie, _, _ := strings.Cut(began.Header.Get("Set-Cookie"), ";")
		return s.send("GET", path+"/callback?"+provider.Authorize(began.Header.Get("Location")).Encode()+more, "", "Cookie", cookie)
	}
	provider.Change(func() { provider.Discover = signintest.Refuse(503, "") })
	problem(s.send("GET", path, ""), 503, "sign_in_unavailable")
	provider.Change(func() { provider.Discover = signintest.Refuse(200, "") })
	problem(s.send("GET", path, ""), 502, "sign_in_failed")
	provider.Change(func() { provider.Discover = nil })

	sidecartest.WantStatus(t, finish(""), 303)
	problem(finish("&state=twice"), 400, "sign_in_over")
	problem(finish("&error=access_denied"), 403, "sign_in_refused")
	provider.Change(func() { provider.Token = signintest.Refuse(503, "") })
	problem(finish(""), 503, "sign_in_unavailable")
	provider.Change(func() { provider.Token = signintest.Refuse(200, "") })
	problem(finish(""), 502, "sign_in_failed")
	provider.Change(func() { provider.Token, provider.Claims = nil, signintest.Object{"sub": "site", "azp": "site"} })
	problem(finish(""), 403, "account_refused")
	sidecartest.WantStatus(t, s.send("GET", "/auth/sessions/signed-out", ""), 200)
	sidecartest.WantStatus(t, s.send("GET", "/auth/sessions/signed-out?return_to=/bye&seen=true", ""), 303)
}
