package banner

import (
	"net/http"
	"testing"
)

// What the Content-Security-Policy of a page lets the bar do: with which nonce, if at all.
func TestPolicies(t *testing.T) {
	t.Parallel()
	const blocked = "blocked"
	for policies, want := range map[string]string{
		"":                                      "",
		"default-src 'self'":                    "",
		"script-src 'self'":                     "",
		"SCRIPT-SRC 'SELF'; Connect-Src 'Self'": "",
		"default-src 'none'":                    blocked,
		"script-src":                            blocked,
		"script-src 'none'":                     blocked,
		"script-src 'none'; script-src 'self'":  blocked, // the first one counts
		"script-src-elem 'self'; script-src 'none'":                "",
		"script-src-elem 'none'; script-src 'self'":                blocked,
		"script-src 'unsafe-inline'":                               blocked,
		"script-src 'sha256-AAAA'":                                 blocked,
		"script-src https:":                                        "",
		"script-src *":                                             "",
		"script-src https://app.example.com":                       "",
		"script-src app.example.com":                               "",
		"script-src app.example.com:443":                           "",
		"script-src app.example.com:8443":                          blocked,
		"script-src app.example.com:*":                             "",
		"script-src *.example.com":                                 "",
		"script-src https://*.example.com":                         "",
		"script-src *.app.example.com":                             blocked,
		"script-src wss://app.example.com":                         blocked,
		"script-src https://cdn.example.net":                       blocked,
		"script-src https://app.example.com/static/":               blocked, // which is not ours
		"script-src 'nonce-abc123+/=='":                            "abc123+/==",
		"script-src 'NONCE-aBc'":                                   "aBc",
		"script-src 'nonce-abc' 'self'":                            "",
		"script-src 'nonce-abc' 'strict-dynamic'":                  "abc",
		"script-src 'strict-dynamic' 'self'":                       blocked,
		"script-src 'strict-dynamic' https:":                       blocked,
		`script-src 'nonce-"onload=x'`:                             blocked,
		"script-src 'nonce-abc', script-src 'nonce-abc' 'nonce-d'": "abc",
		"script-src 'nonce-abc', script-src 'nonce-def'":           blocked,
		"script-src 'nonce-abc', script-src 'self'":                "abc",
		"script-src 'self', script-src 'none'":                     blocked,
		"default-src 'nonce-abc' 'self'":                           "",
		"default-src 'nonce-abc'; connect-src 'self'":              "abc",
		"default-src 'nonce-abc'":                                  blocked, // it could not ask what to show
		"connect-src 'none'":                                       blocked,
		"connect-src https://api.example.com":                      blocked,
		"form-action 'none'":                                       blocked, // it could not stop
		"form-action 'self'":                                       "",
		"style-src 'none'; img-src 'none'; font-src 'none'":        "",
		"require-trusted-types-for 'script'; trusted-types":        "",
		"frame-ancestors 'none'; base-uri 'none'":                  "",
		"sandbox":                           blocked,
		"sandbox allow-scripts allow-forms": blocked,
		"sandbox allow-scripts allow-forms allow-same-origin": "",
	} {
		h := http.Header{}
		if policies != "" {
			h.Set("Content-Security-Policy", policies)
		}
		if got := ofHeader(h, true); got != want {
			t.Errorf("%q: %q", policies, got)
		}
	}
}

// ofHeader returns the nonce for a page at app.example.com.
func ofHeader(h http.Header, secure bool) string {
	p := &Page{origin: origin{"app.example.com", secure}, policies: policiesOf(h)}
	nonce, _ := allow(p.policies, p.origin)
	if !p.mayRun(p.policies, false) {
		return "blocked"
	}
	return nonce
}

func TestPolicies_OfSeveralLinesAllCount(t *testing.T) {
	t.Parallel()
	h := http.Header{"Content-Security-Policy": {"script-src 'self'", "script-src 'nonce-abc'"}}
	if got := ofHeader(h, true); got != "abc" {
		t.Errorf("%q", got)
	}
	if got := ofHeader(http.Header{"Content-Security-Policy-Report-Only": {"default-src 'none'"}}, true); got != "" {
		t.Errorf("a policy that blocks nothing: %q", got)
	}
	if got := ofHeader(http.Header{"Content-Security-Policy": {"script-src https:; connect-src https:"}}, false); got != "blocked" {
		t.Errorf("a page over plain HTTP: %q", got)
	}
}

func TestMetaPolicies(t *testing.T) {
	t.Parallel()
	const meta = `<meta http-equiv="Content-Security-Policy" content="script-src 'none'">`
	for page, want := range map[string]int{
		"<!doctype html><head>" + meta + "</head>": 1,
		meta: 1,
		"<META HTTP-EQUIV=content-security-policy CONTENT=x>" + meta:                          2,
		"<title>" + meta + "</title>":                                                         0,
		"<!-- " + meta + " -->":                                                               0,
		"<script>" + meta + "</script>":                                                       0,
		"<script>1</script><style>p{}</style>" + meta:                                         1,
		"<head></head><body>" + meta:                                                          0,
		"<p>what somebody wrote " + meta:                                                      0,
		"<meta name=description content='content-security-policy: no'>":                       0,
		`<meta http-equiv="Content-Security-Policy-Report-Only" content="script-src 'none'">`: 0,
	} {
		if got := metaPolicies([]byte(page)); len(got) != want {
			t.Errorf("%s: %v", page, got)
		}
	}
}
