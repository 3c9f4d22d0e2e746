package urlpath

import (
	"net/url"
	"strings"
	"testing"
)

func TestLocal(t *testing.T) {
	for target, want := range map[string]bool{
		"/": true, "/a/b": true, "/a?b=//evil.example": true, "/oauth/authorize?redirect_uri=https%3A%2F%2Fc.example%2Fcb": true, `/a?b=\`: true, "/M%C3%A4rz%202026.pdf": true,
		"/a/../b": true, "/a;b": true, "/a%2Fb": true, "/a%252Fb": true, "/100%25": true, "/a#b": true, "/a?b=%0d%0a": true, "/" + strings.Repeat("a", 2000): true,

		"": false, "a": false, "?a": false, ".evil.example/": false, "@evil.example": false, "*": false,
		"//evil.example": false, "//evil.example/x": false, "///evil.example": false, "/%2Fevil.example": false, "/%2f%2fevil.example": false, "/%252Fevil.example": false,
		"%2F%2Fevil.example": false, "/..//evil.example": false, "/.//evil.example": false, "/a/%2e%2e/%2fevil.example": false,
		`/\evil.example`: false, `\\evil.example`: false, `\/evil.example`: false, "/%5Cevil.example": false, "/%255cevil.example": false, `/a\..\b`: false,
		"https://evil.example": false, "https:evil.example": false, "https:/evil.example": false, "HTTPS://evil.example": false, "javascript:alert(1)": false, "data:text/html,x": false,
		"/\t/evil.example": false, "/%09/evil.example": false, "/%0d%0aSet-Cookie:x": false, "/a\r\nb": false, "/a?b=\n": false, "\x00/a": false, " /a": false, "/\x7f": false,
		"/" + strings.Repeat("a", 4096): false, "/?" + strings.Repeat("a", 4096): false, "/" + strings.Repeat("%25", 100) + "2f": true, "/%" + strings.Repeat("25", 20) + "2fevil.example": false,
	} {
		if got := Local(target); got != want {
			t.Errorf("%.60q: %t, want %t", target, got, want)
		}
	}
}

func TestRelative(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "x": true, "a b": true, "/a/b?c": true, "?a=//evil.example": true, "a=b&redirect_uri=https://c.example/cb": true, "12:30": false, "[::1]": true, "a/b:c": true, "img 1:2": true,
		"//evil.example": false, " //evil.example": false, "https://evil.example": false, " https:evil.example": false, "https%3A%2F%2Fevil.example": false, "javascript:x": false,
		"java\tscript:x": false, `\evil.example`: false, "x\r\ny": false, strings.Repeat("a", 4096): false,
	} {
		if got := Relative(text); got != want {
			t.Errorf("%.60q: %t, want %t", text, got, want)
		}
	}
}

// FuzzRelative: what is relative stays on the site, decoded or not.
func FuzzRelative(f *testing.F) {
	for _, target := range append([]string{"/a?b", `/\evil`, "/%2fevil", "/\t/evil", "https:evil"}, hostile...) {
		f.Add(target)
	}
	base, _ := url.Parse("https://app.example.com/login")
	f.Fuzz(func(t *testing.T, target string) {
		if !Relative(target) {
			return
		}
		decoded, _ := url.PathUnescape(target)
		for _, way := range []string{target, Unescape(target), decoded} {
			u, err := base.Parse(strings.NewReplacer(`\`, "/", "\t", "", "\r", "", "\n", "").Replace(strings.TrimLeft(way, " "))) // as a browser does
			if err == nil && (u.Host != base.Host || u.Scheme != base.Scheme) {
				t.Errorf("%q leads to %s", target, u)
			}
		}
	})
}
