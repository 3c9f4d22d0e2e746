package interop

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A recording is what went by in a browser: the tokens, which only its network has seen, and what
// may have none.
type recording struct {
	mu      sync.Mutex
	tabs    []*browser
	tokens  map[string][]string // by name of the cookie, as they were set
	secrets []string            // codes of links
	places  map[string]string   // what is searched for them, by name
}

func newRecording() *recording {
	return &recording{tokens: make(map[string][]string), places: make(map[string]string)}
}

// record listens to a tab.
func (r *recording) record(b *browser) {
	b.t.Helper()
	if err := chromedp.Listen(b.ctx, r.hear); err != nil {
		b.t.Fatal(err)
	}
	call(b, network.Enable, network.EnableParams{})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tabs = append(r.tabs, b)
}

func (r *recording) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled, *runtime.EventExceptionThrown, *log.EventEntryAdded:
		text, _ := json.Marshal(e) // what came as JSON
		r.note("console", string(text))
	case *network.EventRequestWillBeSent:
		referrer, _ := e.Request.Headers["Referer"].(string)
		r.note("requests", strings.Join([]string{e.Request.URL, e.DocumentURL, referrer}, " "))
	case *network.EventResponseReceivedExtraInfo:
		r.tap(e.Headers)
	case *network.EventWebSocketHandshakeResponseReceived:
		r.tap(e.Response.Headers)
	}
}

// tap keeps the tokens that an answer sets, as the browser gets it.
func (r *recording) tap(headers network.Headers) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, value := range headers {
		lines, ok := value.(string)
		if !ok || !strings.EqualFold(name, "Set-Cookie") {
			continue
		}
		for line := range strings.SplitSeq(lines, "\n") {
			if cookie := ours(line); cookie != nil && cookie.Value != "" {
				r.tokens[cookie.Name] = append(r.tokens[cookie.Name], cookie.Value)
			}
		}
	}
}

// The cookies of ours begin with these names.
const (
	cookieOwn = "__Host-session"
	cookieAs  = cookieOwn + "-as"
)

// isOurs reports whether tokens are in a cookie of that name, which in those of sign-ins are not.
func isOurs(name string) bool {
	return strings.HasPrefix(name, cookieOwn) && !strings.HasPrefix(name, cookieOwn+"-in-")
}

// ours returns the cookie of ours that a Set-Cookie is of, and has its token searched for; nil: it is
// none of ours.
func ours(line string) *http.Cookie {
	cookie, err := http.ParseSetCookie(line)
	if err != nil || !isOurs(cookie.Name) {
		return nil
	}
	sidecartest.Remember(cookie.Value)
	return cookie
}

// seen returns the tokens that were set in a cookie, each once.
func (r *recording) seen(name string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(r.tokens[name])))
}

// secret has a text searched for, as tokens are.
func (r *recording) secret(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets = append(r.secrets, text)
}
