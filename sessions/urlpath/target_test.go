package urlpath

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"authsidecar/sessions/urlpath/pathtest"
)

func TestH6_TargetsAreNamedInAnyVariant(t *testing.T) {
	for _, c := range []struct {
		own     string
		below   bool
		named   []string
		unnamed []string
	}{
		{
			"/auth/sessions", false,
			[]string{
				"/auth/sessions", "/auth/sessions/", "/AUTH/Sessions", "//auth///sessions", "/auth/./sessions", "/x/../auth/sessions", "/x/y/../../auth/sessions",
				"//x/auth/sessions", "///x/auth/sessions", "//user@x:80/auth/sessions", `/\x/auth/sessions`, "/%5Cx/auth/sessions", "/%2Fx/auth/sessions", "/%09/x/auth/sessions",
				"/auth/x/..;/sessions", "/auth/x/%252e%252e/sessions", "/auth/sessions/x/..", "/auth/sessions/..", "/index.php/auth/sessions", "/a/x.PHP/auth/sessions", "/x.cgi/auth/sessions",
				"/auth;v=1/sessions", "/auth/sessions;x=y", "/auth/sessions%3Fx/y", "/auth/sessions%00/x.png", "/auth/sessions/%00.png", "/;/auth/sessions", "/auth/;x/sessions",
				"/auth%2Fsessions", "/auth%5Csessions", "/auth%252Fsessions", "/%25252561uth/sessions", "/auth/sessions.", "/auth./sessions", "/auth/sessions%20", "/%20auth/sessions",
				"/auth/%EF%BD%93essions", "/auth/se%C5%BF%C5%BFions", "/auth/ses%E2%80%8Bsions", "/auth/ses%EF%B8%8Fsions", "/auth／sessions", "x:auth/sessions", "http:auth%2fsessions", "x:x/../auth/sessions",
			},
			[]string{
				"/", "/auth", "/auth/session", "/auth/sessionss", "/auth/sessions/current", "/auth/sessionx", "/x/auth/sessions", "/x//auth/sessions/y", "/auth/ses%2Fsions",
				"/api/auth%2Fx/sessions", "/x/../auth/session", "//auth/x/sessions", "/x.json/auth/sessions", "/authsessions", "/sessions/auth", "x:y/auth/sessions", "/?p=/auth/sessions",
			},
		},
		{
			"/sessions", true,
			[]string{"/sessions", "/sessions/current", "//x/sessions/current", "/sessions;x/current", "/x/%2e%2e/sessions/id", "/sessions%5Ccurrent", "/x.php/sessions/current"},
			[]string{"/projects/a%2Fb/sessions", "/sessionsx", "/x/sessions", "//x/y/sessions", "/%20", "/x;y/sessions"},
		},
	} {
		target := newTarget(c.own, c.below)
		for _, name := range c.named {
			if !target.Names(of(name)) {
				t.Errorf("%s may be read as %s", name, c.own)
			}
		}
		for _, name := range c.unnamed {
			if target.Names(of(name)) {
				t.Errorf("%s is never read as %s", name, c.own)
			}
		}
	}
}

func of(target string) *url.URL {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return &url.URL{Path: target}
	}
	return u
}

// FuzzTarget: what a server that we know reads as the target is found to name it.
func FuzzTarget(f *testing.F) {
	for _, target := range append([]string{"/a/b", "//x/a/b", "/x/..;/a/b", "/a%252fb", "/x.php/a/b", "/a;x/b", "/a/b%00x"}, hostile...) {
		f.Add(target)
	}
	own := newTarget("/a/b", false)
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Opaque != "" {
			return
		}
		for _, server := range slices.Concat(pathtest.Servers, pathtest.Folding) {
			read := strings.TrimSuffix(server.Read(u.EscapedPath()), "/")
			if strings.EqualFold(read, "/a/b") && !own.Names(u) {
				t.Errorf("%q is read as /a/b by %s", target, server.Name)
			}
		}
	})
}
