package httpapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"

	"authsidecar/sessions/forward"
	"authsidecar/sessions/internal/endpoint"
)

var (
	//go:embed page.html
	pageText string
	// PageStyle is the inline style of all pages. The policy of the page allows it by hash.
	//go:embed page.css
	PageStyle string

	page       = template.Must(template.New("problem").Parse(pageText))
	pagePolicy = policyOf(PageStyle)
)

// policyOf returns the Content-Security-Policy of a page with that style: it loads, runs and sends
// nothing, and cannot be framed by another site.
func policyOf(style string) string {
	return "default-src 'none'; style-src " + HashSource(style) + "; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
}

// HashSource returns the source expression for an inline style or script (CSP Level 3, section
// 2.3.1).
func HashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// A Link is a link on a page, to a path of this site.
type Link struct{ Text, URL string }

// Answer writes the problem: for a person as a page, with links, and for a program as problem
// details.
func (p *Problem) Answer(w http.ResponseWriter, r *http.Request, next ...Link) {
	if !forward.WantsPage(r) {
		p.Write(w)
		return
	}
	if p.Status == http.StatusNotFound || p.Status == http.StatusMethodNotAllowed {
		next = append(next, Link{Text: "Go to the start page", URL: "/"})
	}
	p.WritePage(w, next...)
}

// WritePage writes the problem as a page for people, with links. The page loads and runs nothing.
func (p *Problem) WritePage(w http.ResponseWriter, next ...Link) {
	var text bytes.Buffer
	err := page.Execute(&text, struct {
		*Problem
		Style template.CSS
		Next  []Link
	}{p, template.CSS(PageStyle), next}) //nolint:gosec // it is ours
	if err != nil {
		p.Write(w)
		return
	}
	p.setHeader(w.Header())
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Header().Set("Referrer-Policy", "same-origin")
	endpoint.Write(w, p.Status, "text/html; charset=utf-8", text.Bytes())
}
