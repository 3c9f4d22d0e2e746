package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule"
	"authsidecar/caddymodule/internal/sidecartest"
)

func TestImpersonated_InEveryDirectiveBesideACatchAll(t *testing.T) {
	t.Parallel()
	const money = "@money {\n\timpersonated\n\tpath /billing/*\n}\n"
	const proxy = "reverse_proxy APP"
	const refuse = "@money impersonated /billing/* /account/delete\nhandle @money {\n\terror 403\n}\n"
	g := startGuarded(t, "", "respond 503")
	for _, site := range []struct {
		name, directives string
		imp, own         int // status of /billing/x
	}{
		{"handle", money + "handle @money {\n\terror 403\n}\nhandle {\n\t" + proxy + "\n}", 403, 200},
		{"handle, the catch-all first", money + "handle {\n\t" + proxy + "\n}\nhandle @money {\n\terror 403\n}", 403, 200},
		{"paths of its own", refuse + proxy, 403, 200},
		{"paths of its own, behind a rewrite", "@money impersonated /billing/*\nrewrite * /index.php\nrespond @money 402\n" + proxy, 402, 200},
		{"handle_path", "@imp impersonated\nhandle @imp {\n\thandle_path /billing/* {\n\t\terror 402\n\t}\n}\nhandle {\n\t" + proxy + "\n}", 402, 200},
		{"route", money + "route @money {\n\terror 403\n}\nroute {\n\t" + proxy + "\n}", 403, 200},
		{"inside a route", money + "route {\n\terror @money 403\n\t" + proxy + "\n}", 403, 200},
		{"redir", money + "redir @money /ask 303\nredir /other /elsewhere\n" + proxy, 303, 200},
		{"redir beside a catch-all redir", money + "redir @money /ask 303\nredir * /elsewhere 307", 303, 307},
		{"rewrite", money + "rewrite @money /refused\n@refused path /refused\nrespond @refused 410\n" + proxy, 410, 200},
		{"rewrite beside a catch-all rewrite", money + "rewrite @money /refused\nrewrite * /index.php\n@refused path /refused\nrespond @refused 410\n" + proxy, 410, 200},
		{"respond", money + "respond @money 402\n" + proxy, 402, 200},
		{"not", "@free not impersonated\nhandle @free {\n\t" + proxy + "\n}\nhandle {\n\terror 404\n}", 404, 200},
		{"not, in a block", "@free not {\n\timpersonated\n\tpath /billing/*\n}\nhandle @free {\n\t" + proxy + "\n}\nhandle {\n\terror 404\n}", 404, 200},
		{"handle_errors", "@imp impersonated\nerror /billing/* 418\nhandle_errors {\n\trespond @imp 402\n\trespond 418\n}", 402, 418},
	} {
		t.Run(site.name, func(t *testing.T) {
			g.put(t, "", site.directives)
			for _, c := range []struct {
				who, token string
				want       int
			}{{"an impersonation", g.imp, site.imp}, {"an own session", g.own, site.own}, {"nobody", "", site.own}} {
				if got, _ := g.ask(c.token, "GET", "/billing/x"); got.Status != c.want {
					t.Errorf("%s: %d, want %d", c.who, got.Status, c.want)
				}
			}
		})
	}
}

// Never a silent no: where nobody decided whose request it is, the matcher is an error.
func TestImpersonated_IsAnErrorWhereNoIdentityWasDecided(t *testing.T) {
	t.Parallel()
	s := newSidecar(t)
	block, _, _ := strings.Cut(sidecartest.NewIDP(t, "https://idp.example.com").Site(s.Sidecar, "http://127.0.0.1:1", ""), "\treverse_proxy")
	config, what := "", make(map[string]string)
	for i, matcher := range []string{"@imp impersonated", "@imp not impersonated", "@imp {\n\tnot {\n\t\timpersonated\n\t\tpath /billing/*\n\t}\n}", "@imp {\n\timpersonated\n\tpath /billing/*\n}"} {
		for j, directives := range []string{
			"handle @imp {\n\trespond 402\n}\nhandle {\n\trespond 200\n}",
			"route @imp {\n\trespond 402\n}\nrespond 200",
			"redir @imp /x\nrespond 200",
			"rewrite @imp /x\nrespond 200",
		} {
			// Without auth_sessions in the site, and in one that has no identity.
			bare, with := fmt.Sprintf("bare-%d-%d.example", i, j), fmt.Sprintf("with-%d-%d.example", i, j)
			what[bare], what[with] = matcher+directives, "with a bare block: "+matcher+directives
			address := func(host string) string { return strings.Replace(s.URL, "127.0.0.1", host, 1) }
			config += address(bare) + " {\n" + matcher + "\n" + directives + "\n}\n" +
				strings.NewReplacer("SITE", address(with), sidecartest.Issuer+"\n", "https://"+with+"\n").Replace(block) + matcher + "\n" + directives + "\n}\n"
		}
	}
	s.Start(config)
	for host, site := range what {
		req, _ := http.NewRequest(http.MethodGet, s.URL+"/billing/x", nil)
		req.Host = host
		got, err := s.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if got.Status != http.StatusInternalServerError {
			t.Errorf("%s: %d %s", site, got.Status, got.Body)
		}
		s.WaitLog("runs before the request is authenticated", `"`+host)
	}
}

// A directive that Caddy sorts before auth_sessions asks too soon.
func TestImpersonated_IsAnErrorBeforeAuthSessions(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, "", "respond 200")
	if err := g.Reload(g.site("", "@imp impersonated\nvars @imp a b\nrespond 200")); err != nil {
		t.Fatal(err)
	}
	g.expect("an impersonation", g.imp, "GET", "/x", 500, false)
	g.expect("nobody", "", "GET", "/x", 500, false)
}

// What an app could take for one of the paths is one of them.
func TestImpersonated_PathsInAnyVariant(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, "", "@money impersonated /billing/* /account/delete\nhandle @money {\n\terror 403\n}\nreverse_proxy APP")
	for _, target := range []string{
		"/billing/pay", "/billing", "/account/delete/", "//billing/pay", "//x/account/delete", "/x/../account/delete", "/account%2Fdelete", "/account;x/delete", "/x.php/account/delete", "/ACCOUNT/delete",
	} {
		for token, want := range map[string]string{g.imp: "403", g.own: "200"} {
			got := rawExchange(t, g.URL, "GET "+target+" HTTP/1.1\r\nHost: same.example.com\r\nAuthorization: Bearer "+token+"\r\nConnection: close\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 "+want) {
				t.Errorf("%s: %s, want %s", target, strings.SplitN(got, "\r\n", 2)[0], want)
			}
		}
	}
	g.expect("elsewhere", g.imp, "GET", "/M%C3%A4rz%202026.pdf", 200, true)
}

func TestImpersonated_InJSON(t *testing.T) {
	config, _, err := adapt("http://a.example.com {\n\t@imp impersonated\n\trespond @imp 402\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(config), `"match":[{"impersonated":{}}]`) {
		t.Errorf("adapted to %s", config)
	}
	for _, block := range []string{"@imp impersonated /a /b*", "@imp {\n\t\timpersonated /a\n\t\timpersonated /b*\n\t}"} {
		config, _, err = adapt("http://a.example.com {\n\t" + block + "\n\trespond @imp 402\n}\n")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(config), `"match":[{"impersonated":{"paths":["/a","/b*"]}}]`) {
			t.Errorf("adapted to %s", config)
		}
	}
}

func TestImpersonated_TakesPathsOnly(t *testing.T) {
	for _, text := range []string{"impersonated yes", "impersonated /a {path}", "impersonated /a//b", "impersonated /a%2Fb", "impersonated {\n\tx\n}", "impersonated {\n}"} {
		if err := new(caddymodule.MatchImpersonated).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}
