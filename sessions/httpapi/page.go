package httpapi

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"

	"authsidecar/sessions/internal/endpoint"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("problem").Parse(pageText))

// WritePage answers with the problem as a page, for people. It loads nothing and runs
// nothing.
func (p *Problem) WritePage(w http.ResponseWriter) {
	var text bytes.Buffer
	if err := page.Execute(&text, p); err != nil {
		p.Write(w)
		return
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	endpoint.Write(w, p.Status, "text/html; charset=utf-8", text.Bytes())
}
