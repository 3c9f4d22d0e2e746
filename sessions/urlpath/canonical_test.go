package urlpath

import (
	"net/url"
	"strings"
	"testing"
	"unicode"

	"authsidecar/sessions/urlpath/pathtest"
)

func parse(t testing.TB, target string) *url.URL {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatalf("parsing %q: %v", target, err)
	}
	return u
}

func TestCanonical_WhatClientsSend(t *testing.T) {
	for _, target := range []string{
		"/", "/a", "/a/", "/a/b", "/A/b?c=//d;e", "/a?", "http://app.example.com/a/b", "/M%C3%A4rz%202026.pdf", "/m%c3%a4rz", "/a%20b/c", "/%E4%BD%A0/%F0%9F%98%80",
		"/users/alice%40example.com", "/users/alice@example.com", "/v1/things/4711:cancel", "/v1.2/x.y.z", "/.well-known/x", "/~alice/", "/a+b", "/a%2Bb", "/a,b", "/a=b&c",
		"/a%3Ab", "/a%26b%3Dc%24", "/x(1)", "/x%281%29", "/it's", "/a*b!", "/a%7Cb", "/a|b", "/[id]", "/%5Bid%5D", "/a^b", "/%7Bid%7D", "/%22a%22", "/%3Ca%3E", "/%60",
		"/index.php", "/a/index.php", "/a.phtml", "/a.cgi", "/a.jsp", "/a.b/c", "/jquery-3.1.js", "/example.pl/dns", "/php/x", "/php.ini", "/a.ph/x", "/cgi/x", "/x.cgi2/y",
	} {
		if !Canonical(parse(t, target)) {
			t.Errorf("%s is not canonical", target)
		}
	}
}

func TestCanonical_WhatServersReadInSeveralWays(t *testing.T) {
	for what, targets := range map[string][]string{
		"empty segments":         {"//", "//a", "/a//b", "/a//", "///", "//host/a", "/a/%2F"},
		"dot segments":           {"/.", "/..", "/./a", "/a/.", "/a/..", "/a/../b", "/a/./b", "/%2e", "/%2E%2E/a", "/a/.%2e/b", "/a/%2e./b", "/..."},
		"encoded slashes":        {"/a%2Fb", "/a%2fb", "/%2F", "/a%5Cb", "/a%5cb", `/a\b`, `\a`, `/\host/a`},
		"parameters":             {"/a;b", "/a;", "/a%3Bb", "/a%3bb", "/..;/a", "/;/a"},
		"encoded twice":          {"/a%252Fb", "/%25", "/a%2e", "/%2561", "/100%25"},
		"encoded for no reason":  {"/%61", "/%41", "/a%2Db", "/%7Eb", "/%5F", "/a%30"},
		"not encoded":            {"/\"", "/<a>", "/{id}", "/`", "/\xc3\xa4", "/a\xff", "/a b"},
		"what ends a path":       {"/a%3Fb", "/a%23b", "/a#b", "/a%00", "/a%00.css"},
		"controls":               {"/a%09b", "/a%0a", "/a%0D", "/%7F", "/%C2%85", "/%1b"},
		"no text":                {"/%FF", "/%C3", "/%C3%28", "/%ED%A0%80", "/%C0%AF", "/%F8%88%80%80%80"},
		"dots and blanks at end": {"/a.", "/a./b", "/a%20", "/a%20/b", "/%20a", "/%20", "/a/%20b"},
		"what follows a script": {
			"/a.php/b", "/a.php/", "/a.PHP/b.css", "/a.phpx", "/a.php.css", "/a.php5", "/x/a.php/b", "/a.phtml/b", "/a.phar/", "/a.cgi/b", "/a.ASPX/b", "/a.jsp/b", "/a.cfm/b/c",
		},
		"no path": {"*", "x:a", "http:a", "http://host", "x:%2fa"},
	} {
		for _, target := range targets {
			u, err := url.ParseRequestURI(target)
			if err != nil {
				u = &url.URL{Path: target} // as a handler may have made it
			}
			if Canonical(u) {
				t.Errorf("%s: %s is canonical", what, target)
			}
		}
	}
}

// A handler before us may have changed one form of the path and not the other.
func TestCanonical_BothFormsOfThePath(t *testing.T) {
	for _, u := range []url.URL{
		{Path: "/a//b", RawPath: "/a/b"}, {Path: "/a/b", RawPath: "/a%2Fb"}, {Path: "/a", RawPath: "/%6"}, {Path: "/a", RawPath: "/%zz"}, {Path: "/a", RawPath: "/a;b"}, {Path: "", RawPath: "/a"},
	} {
		if Canonical(&u) {
			t.Errorf("%+v is canonical", u)
		}
	}
}

func TestCanonical_DoesNotAllocate(t *testing.T) {
	for _, target := range []string{"/api/v1/things/4711?page=2", "/M%C3%A4rz%202026.pdf", "/users/a%40b.c/x.json", "//a", "/a/../b", "/x.php/y", "/a%2Fb"} {
		u := parse(t, target)
		if n := testing.AllocsPerRun(100, func() { Canonical(u) }); n != 0 {
			t.Errorf("%s: %v allocations", target, n)
		}
	}
}

// What url.PathEscape makes of any name that is a name everywhere is canonical.
func FuzzCanonical_NamesAreEncodedAsClientsDo(f *testing.F) {
	for _, name := range []string{"März 2026.pdf", "a", "資料（最終）.pdf", "a&b=c", "¯\\_(ツ)_/¯", "x.tar.gz"} {
		f.Add(name, name)
	}
	f.Fuzz(func(t *testing.T, folder, file string) {
		for _, name := range []string{folder, file} {
			odd := strings.ContainsAny(name, "/\\%;?#") || strings.ContainsFunc(name, unicode.IsControl) || strings.ToValidUTF8(name, "") != name
			if odd || !hasPlainEnds(name) || strings.Contains(strings.ToLower(name), ".php") || isScript(name) {
				return
			}
		}
		if target := "/" + url.PathEscape(folder) + "/" + url.PathEscape(file); !Canonical(parse(t, target)) {
			t.Errorf("%s is not canonical", target)
		}
	})
}

// FuzzCanonical: no server that we know reads a canonical path as another.
func FuzzCanonical(f *testing.F) {
	for _, target := range hostile {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || !Canonical(u) {
			return
		}
		wire := u.EscapedPath()
		for _, server := range pathtest.Servers {
			if read := server.Read(wire); read != u.Path && read != wire {
				t.Errorf("%q is canonical, and read as %q by %s", target, read, server.Name)
			}
		}
	})
}

var hostile = []string{
	"/public/x", "//public/admin", "/admin/../public/x", "/public/%2e%2e/admin", "/public/..%2fadmin", "/public/..;/admin", `/public/..\admin`, "/public%00/admin", "/a%252fb",
	"/admin.php/x.css", "/a.php.css", "/M%C3%A4rz%202026.pdf", "/a%20/b", "/a./b", "/a%3fb", "http://h//a", "/a|b", "/[x]", "/%7ex", "/\tx", "/x%ff", "/ä", "x:a", "*",
}

func BenchmarkCanonical(b *testing.B) {
	for _, target := range []string{"/api/v1/tasks", "/M%C3%A4rz%202026/x.pdf"} {
		u := parse(b, target)
		b.Run(target, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !Canonical(u) {
					b.Fatal("not canonical")
				}
			}
		})
	}
}
