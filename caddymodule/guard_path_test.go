package caddymodule

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func requestOf(target string, original *url.URL) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.URL, _ = url.ParseRequestURI(target)
	ctx := context.WithValue(r.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer())
	if original != nil {
		ctx = context.WithValue(ctx, caddyhttp.OriginalRequestCtxKey, http.Request{URL: original})
	}
	return r.WithContext(ctx)
}

func TestDeny_PathsInEverySpelling(t *testing.T) {
	guard := newPathGuard([]string{"/Billing/*", "/account/delete", "*.bak", "/users/*/password", "/straße"})
	for _, c := range []struct {
		name, target string
		denied       bool
	}{
		{"below a guarded folder", "/billing/pay", true},
		{"the folder itself, with its slash", "/billing/", true},
		{"the folder itself, without", "/billing", true},
		{"deep below it", "/billing/a/b/c", true},
		{"another that begins like it", "/billings", false},
		{"a guarded path", "/account/delete", true},
		{"with a slash", "/account/delete/", true},
		{"with a query", "/account/delete?x=y", true},
		{"below a guarded path", "/account/delete/x", false},
		{"above it", "/account", false},
		{"in capitals", "/ACCOUNT/Delete", true},
		{"an ending", "/dump.bak", true},
		{"an ending with a slash", "/dump.bak/", true},
		{"an ending and a parameter", "/dump.bak;v=1", true},
		{"a star in the middle", "/users/7/password", true},
		{"which is for one segment", "/users/7/8/password", false},
		{"letters beyond ASCII", "/stra%C3%9Fe", true},
		{"letters beyond ASCII, in capitals", "/STRA%E1%BA%9EE", true},
		{"doubled slashes", "//billing//pay", true},
		{"a doubled slash in a guarded path", "/account//delete", true},
		{"dots", "/x/../account/./delete", true},
		{"encoded letters", "/%62illing/pay", true},
		{"encoded dots", "/x/%2e%2e/billing/pay", true},
		{"an encoded slash", "/account%2Fdelete", true},
		{"an encoded slash, twice", "/account%252Fdelete", true},
		{"encoded dots, twice", "/x/%252e%252e/account/delete", true},
		{"a backslash", "/account%5Cdelete", true},
		{"a backslash as it is", `/account\delete`, true},
		{"a parameter", "/account;x/delete", true},
		{"a parameter at the end", "/account/delete;jsessionid=1", true},
		{"a parameter behind dots", "/x/..;/account/delete", true},
		{"an encoded blank", "/account/delete%20", true},
		{"a tab", "/account/%09delete", true},
		{"a NUL", "/account/delete%00.css", true},
		{"an encoded question mark", "/account/delete%3Fx", true},
		{"an encoded hash", "/account/delete%23x", true},
		{"a dot at the end", "/account/delete.", true},
		{"wide letters", "/%EF%BC%A2illing/pay", true},
		{"a zero-width letter", "/account/de%E2%80%8Blete", true},
		{"an absolute URL", "http://a.example.com/account/delete", true},
		{"another scheme", "x:account/delete", true},
		{"another scheme, encoded", "x:account%2fdelete", true},
		{"something else", "/app", false},
		{"the root", "/", false},
		{"the server itself", "*", false},
	} {
		if got := guard.denies(requestOf(c.target, nil)); got != c.denied {
			t.Errorf("%s: %s denied: %t, want %t", c.name, c.target, got, c.denied)
		}
	}
}

func TestDeny_WhatWasRewrittenBefore(t *testing.T) {
	guard := newPathGuard([]string{"/billing/*"})
	for _, c := range []struct {
		name, came, is string
		denied         bool
	}{
		{"away from a guarded path", "/billing/pay", "/index.php", true},
		{"to a guarded path", "/b/pay", "/billing/pay", true},
		{"from and to others", "/b/pay", "/c/pay", false},
	} {
		came, _ := url.Parse(c.came)
		if got := guard.denies(requestOf(c.is, came)); got != c.denied {
			t.Errorf("%s: %t, want %t", c.name, got, c.denied)
		}
	}
}

func TestDeny_NothingWithoutAWord(t *testing.T) {
	if newPathGuard(nil).denies(requestOf("/", nil)) {
		t.Error("denied")
	}
}

// Spellings may be mixed as one likes.
func TestDeny_AnyMixOfSpellings(t *testing.T) {
	guard := newPathGuard([]string{"/account/delete"})
	random := rand.New(rand.NewPCG(4, 7))
	spell := []func(string) string{
		func(c string) string { return c },
		strings.ToUpper,
		func(c string) string { return fmt.Sprintf("%%%02X", c[0]) },
		func(c string) string { return fmt.Sprintf("%%25%02x", c[0]) },
		func(c string) string { return fmt.Sprintf("%%2525%02x", c[0]) },
		func(c string) string { return c + "%09" },
		func(c string) string { return map[bool]string{true: "//", false: c}[c == "/"] },
		func(c string) string { return map[bool]string{true: "/./", false: c}[c == "/"] },
		func(c string) string { return map[bool]string{true: ";a=b/", false: c}[c == "/"] },
		func(c string) string { return map[bool]string{true: "/x/%2e%2e/", false: c}[c == "/"] },
	}
	for range 5000 {
		target := "/"
		for _, c := range "account/delete" {
			target += spell[random.IntN(len(spell))](string(c))
		}
		if !guard.denies(requestOf(target, nil)) {
			t.Fatalf("%s passes", target)
		}
	}
}

// FuzzDeny: what Caddy's own path matcher finds is denied, whatever else is.
func FuzzDeny(f *testing.F) {
	for _, target := range []string{"/billing/pay", "/billing%2fpay", "//billing/", "/x/../billing/a;b", "x:billing", "/%zz", "*"} {
		f.Add(target)
	}
	patterns := []string{"/billing/*", "/account/delete", "*.bak", "*secret*", "/users/*/password"}
	guard, matcher := newPathGuard(patterns), append(caddyhttp.MatchPath{}, patterns...)
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r := requestOf("/", nil)
		r.URL = u
		if matcher.Match(r) && !guard.denies(r) {
			t.Errorf("%q passes", target)
		}
	})
}

// BenchmarkDeny is what an impersonated request for a plain path pays.
func BenchmarkDeny(b *testing.B) {
	guard := newPathGuard([]string{"/billing/*", "/account/delete", "/admin/*"})
	r := requestOf("/api/v1/items/4711?page=2", nil)
	b.ReportAllocs()
	for b.Loop() {
		if guard.denies(r) {
			b.Fatal("denied")
		}
	}
}
