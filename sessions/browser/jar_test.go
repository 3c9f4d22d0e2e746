package browser

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

const base = "__Host-session"

func requestWith(cookies ...string) *http.Request {
	return &http.Request{Header: http.Header{"Cookie": cookies}}
}

func TestJar_ReadsItsCookiesAndNoOthers(t *testing.T) {
	jar := NewJar(base, true)
	long := strings.Repeat("x", jose.MaxTokenSize+1)
	tests := []struct {
		name    string
		cookies []string
		own, as Tokens
	}{
		{"none", nil, Tokens{}, Tokens{}},
		{"others", []string{"a=b; __Host-sessions=x; session=y; __host-session=z; __Host-session-as-x=1"}, Tokens{}, Tokens{}},
		{"all", []string{"__Host-session=1; __Host-session-refresh=2;__Host-session-as=3; \t__Host-session-as-refresh=4"}, Tokens{"1", "2"}, Tokens{"3", "4"}},
		{"in several fields, as HTTP/2 has them", []string{"__Host-session=1", "x=y", "__Host-session-as-refresh=4"}, Tokens{"1", ""}, Tokens{"", "4"}},
		{"empty ones", []string{"__Host-session=; __Host-session-refresh"}, Tokens{}, Tokens{}},
		{"what is longer than any token", []string{"__Host-session=" + long + "; __Host-session-refresh=2"}, Tokens{"", "2"}, Tokens{}},
		{"the same twice", []string{"__Host-session=1; __Host-session=1"}, Tokens{"1", ""}, Tokens{}},
	}
	for _, tt := range tests {
		own, as, err := jar.Read(requestWith(tt.cookies...))
		if own != tt.own || as != tt.as || err != nil {
			t.Errorf("%s: %v %v %v", tt.name, own, as, err)
		}
	}
}

// With the prefix no browser sends two of a name. What does is under attack, or no browser.
func TestJar_CookiesOfOneNameThatDifferAreAnError(t *testing.T) {
	jar := NewJar(base, true)
	for _, name := range jar.Names() {
		for _, r := range []*http.Request{requestWith(name + "=1; x=y; " + name + "=2"), requestWith(name+"=1", name+"=2")} {
			if _, _, err := jar.Read(r); !errors.Is(err, ErrSeveral) {
				t.Errorf("%v: %v", r.Header, err)
			}
		}
	}
}

func TestJar_OnlyThePairThatIsNamedMoves(t *testing.T) {
	jar := NewJar(base, true)
	grant := &sessions.Grant{AccessToken: "a", RefreshToken: "r", Now: time.Unix(100, 0), AccessExpires: time.Unix(160, 0)}
	for pair, want := range map[Pair][]string{Own: {base + "=", base + "-refresh="}, As: {base + "-as=", base + "-as-refresh="}} {
		for name, write := range map[string]func(http.Header){"set": func(h http.Header) { jar.Set(h, pair, grant) }, "cleared": func(h http.Header) { jar.Clear(h, pair) }} {
			header := make(http.Header)
			jar.Set(header, pair, grant)
			header.Add("Set-Cookie", "theme=dark")
			write(header)
			lines := slices.DeleteFunc(header["Set-Cookie"], func(line string) bool { return line == "theme=dark" })
			if len(lines) != 2 || len(header["Set-Cookie"]) != 3 {
				t.Fatalf("%s: %q", name, header["Set-Cookie"])
			}
			for i, line := range lines {
				if !strings.HasPrefix(line, want[i]) || !strings.HasSuffix(line, "; HttpOnly; Secure; SameSite=Lax") || !strings.Contains(line, "; Path=/; ") || strings.Contains(line, "Domain") {
					t.Errorf("%s: %s", name, line)
				}
				if gone := strings.HasPrefix(line, want[i]+"; Path=/; Max-Age=0;"); gone != (name == "cleared") {
					t.Errorf("%s: %s", name, line)
				}
			}
		}
	}
}

func TestJar_ReadingDoesNotAllocate(t *testing.T) {
	jar := NewJar(base, true)
	r := requestWith("theme=dark; __Host-session=1; __Host-session-refresh=2; x=y")
	if n := testing.AllocsPerRun(100, func() { _, _, _ = jar.Read(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
