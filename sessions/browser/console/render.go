package console

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"authsidecar/sessions"
	"authsidecar/sessions/browser"
	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/internal/endpoint"
)

var (
	//go:embed pages.html
	pagesText string
	//go:embed console.css
	style string
	//go:embed console.js
	script string

	pages = template.Must(template.New("pages").Funcs(template.FuncMap{"asset": assetURL}).Parse(pagesText))
)

// policy is the Content-Security-Policy of all pages: no foreign content, no inline content, no
// frames.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// setHeaders sets the headers of all responses.
func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "same-origin") // without a referrer policy like this, forms would send Origin: null
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// An asset is a file that pages load.
type asset struct {
	media   string
	data    []byte
	version string
}

var assets = map[string]*asset{
	"/style.css": newAsset("text/css; charset=utf-8", style),
	"/script.js": newAsset("text/javascript; charset=utf-8", script),
}

func newAsset(media, text string) *asset {
	sum := sha256.Sum256([]byte(text))
	return &asset{media, []byte(text), hex.EncodeToString(sum[:6])}
}

// assetURL returns the URL of this version of an asset.
func assetURL(path string) string { return path + "?v=" + assets[path].version }

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header())
	endpoint.Publish(w, r, a.media, 24*time.Hour, a.data)
}

// A frame is the part that all pages share.
type frame struct {
	Title   string
	Notice  string // the result of what the person did
	Alert   string // the error instead
	User    string // "": nobody is signed in
	Nav     []navItem
	SignOut string
	Again   string // URL to sign in again; "" if that would not help
	Page    any
}

type navItem struct {
	Path, Text string
	Here       bool
}

// frame returns the frame of a page for a person.
func (c *Console) frame(v *visit, title string, page any) *frame {
	f := &frame{Title: title, User: v.session.UserID, SignOut: c.Path + browser.ClosePath, Page: page}
	add := func(path, name string) { f.Nav = append(f.Nav, navItem{path, name, v.r.URL.Path == path}) }
	add("/", "Your sessions")
	if v.has(actorRight) {
		add("/acting", "Who acts as whom")
	}
	if v.has(startRight) {
		add("/act", "Act as a user")
	}
	if v.has(manageRight) && c.Audit != "" {
		add("/history", "History")
	}
	if v.stale() {
		f.Again = c.signInPath("/")
	}
	return f
}

// show writes a page.
func (c *Console) show(w http.ResponseWriter, status int, name string, f *frame) error {
	var text bytes.Buffer
	if err := pages.ExecuteTemplate(&text, name, f); err != nil {
		return fmt.Errorf("rendering %s: %w", name, err)
	}
	setHeaders(w.Header())
	endpoint.Write(w, status, "text/html; charset=utf-8", text.Bytes())
	return nil
}

// Errors of people.
var (
	errRights = httpapi.NewProblem(403, "insufficient_scope", "Not with this account", "Your account may not do this here. Sign in with another one, or again if its rights have changed.")
	errAgain  = httpapi.NewProblem(403, "sign_in_again", "Sign in again", "You signed in more than a day ago. To see more than your own sessions, sign in again.")
	errForm   = httpapi.NewProblem(400, "invalid_request", "This form cannot be read", "Go back, reload the page, and submit the form again.")
	errBusy   = httpapi.NewProblem(503, "unavailable", "This does not work just now", "The sessions cannot be reached. Nothing was changed. Try again in a moment.")
	errNoPage = httpapi.NewProblem(404, "not_found", "There is no such page", "There is nothing at this address.")
	errGone   = httpapi.NewProblem(404, "not_found", "This session is over", "It was revoked or has expired, its link was opened, or you may not see it.")
)

// problemOf returns the problem for an error: that of the API, in words for people.
func problemOf(err error) *httpapi.Problem {
	p := httpapi.ProblemOf(err)
	switch {
	case errors.Is(err, httpapi.ErrPath):
		return errNoPage
	case errors.Is(err, sessions.ErrNotFound):
		return errGone
	case errors.Is(err, sessions.ErrForbidden):
		return errRights
	case p.Status == http.StatusServiceUnavailable:
		return errBusy
	default:
		return p
	}
}

// fail writes an error as a page.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	c.Browsers.Observer.Failed(r.Context(), p.Status, err)
	defer endpoint.LeaveBody(w, r)()
	f := &frame{Title: p.Title, Page: p}
	switch p {
	case errAgain, errRights:
		f.Again = c.signInPath(r.URL.RequestURI())
		if r.Method == http.MethodPost {
			f.Again = c.signInPath("/")
		}
	case errBusy:
		w.Header().Set("Retry-After", "1")
	}
	if err := c.show(w, p.Status, "problem", f); err != nil {
		p.Write(w)
	}
}

// A moment is a time on a page: relative and exact.
type moment struct {
	At   string // RFC 3339
	Text string
}

// ago returns a past time relative to now.
func ago(at, now time.Time) moment { return moment{formatTime(at), span(now.Sub(at)) + " ago"} }

// left returns how much time is left from now.
func left(until, now time.Time) moment { return moment{formatTime(until), span(until.Sub(now))} }

func formatTime(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// span returns a duration in its two largest units.
func span(d time.Duration) string {
	d = max(d, 0)
	days, hours, minutes := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60
	switch {
	case days >= 10 || days > 0 && hours == 0:
		return fmt.Sprintf("%d d", days)
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, hours)
	case hours > 0 && minutes > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	case hours > 0:
		return fmt.Sprintf("%d h", hours)
	case minutes > 0:
		return fmt.Sprintf("%d min", minutes)
	default:
		return fmt.Sprintf("%d s", int(d/time.Second))
	}
}

// plural returns one if n is 1, and otherwise the format many with n.
func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, humanize.Comma(int64(n)))
}

// clipped truncates a text to that many bytes, at a character boundary.
func clipped(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
