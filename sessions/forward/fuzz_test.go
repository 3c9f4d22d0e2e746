package forward

import (
	"bufio"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Whatever a server would take for a request: what is left of it has no header of ours,
// none that makes a proxy drop one, and all that is others'.
func FuzzU1_Scrub(f *testing.F) {
	for _, lines := range []string{
		"X-Auth-User: root\r\n", "x_auth.user: root\r\nAccept: */*\r\n", "Connection: close, X-Auth-User\r\nConnection: \"x-auth-user\";q=1,TE\r\n",
		"Te: trailers, X-Auth-User\r\nTransfer-Encoding: chunked\r\nTrailer: X-Auth-User, X-Other\r\n", "Upgrade: h2c\r\nConnection: Upgrade\r\n", "X-Auth-Users: 1\r\nCookie: a=b\r\n",
	} {
		f.Add(lines)
	}
	names := NewNames([]string{"X-Auth-User"})
	f.Fuzz(func(t *testing.T, lines string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: app\r\n" + lines + "\r\n")))
		if err != nil {
			return
		}
		before := r.Header.Clone()
		names.Scrub(r, nil)
		for name, values := range before {
			now := r.Header[name]
			switch {
			case looksOurs(name):
				if now != nil {
					t.Fatalf("%s is left", name)
				}
			case name == "Connection":
				for item := range strings.SplitSeq(strings.Join(now, ","), ",") {
					if looksOurs(strings.Trim(item, " \t")) {
						t.Fatalf("Connection names %s", item)
					}
				}
			case name == "Upgrade" || isList(name):
			case !slices.Equal(values, now):
				t.Fatalf("%s: %q became %q", name, values, now)
			}
		}
		for name := range r.Trailer {
			if looksOurs(name) {
				t.Fatalf("the trailer %s is left", name)
			}
		}
	})
}

// looksOurs says it in other words than Names.
func looksOurs(name string) bool {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9')
	}), "-") == "x-auth-user" && len(name) == len("x-auth-user")
}

// Wherever a refresh token stands among cookies: it goes, and others stay as they are.
func FuzzU5_DropCookies(f *testing.F) {
	const issuer = "https://app.example.com"
	refresh := unsigned(`{"alg":"EdDSA","kid":"k","typ":"rt+jwt"}`, `{"iss":"https://app.example.com","sub":"alice"}`)
	f.Add("a=b; ", "r=", "; c=d")
	f.Add("a=\"x, y\";b;", " r=\"", "\"")
	f.Add("", "%5B", "=")
	f.Fuzz(func(t *testing.T, before, name, after string) {
		if strings.ContainsAny(name, ";.") || strings.ContainsAny(after, ".") || strings.Contains(before+name+after, tokenStart) {
			return // those would make another token of it
		}
		if last, _, _ := strings.Cut(after, ";"); strings.Trim(last, "= \t\"'") != "" {
			return
		}
		if name != "" && strings.LastIndexAny(name, "= \"'%[") != len(name)-1 {
			return
		}
		r := &http.Request{Header: http.Header{"Cookie": {before + ";" + name + refresh + after, "other=1"}}}
		DropCookies(r, issuer, "", "", false)
		left := strings.Join(r.Header["Cookie"], "|")
		if strings.Contains(left, refresh) {
			t.Fatalf("left: %q", left)
		}
		if !strings.HasSuffix(left, "other=1") || strings.TrimLeft(before, " \t") != "" && !strings.HasPrefix(left, strings.TrimLeft(before, " \t")) {
			t.Fatalf("others: %q of %q", left, before)
		}
	})
}
