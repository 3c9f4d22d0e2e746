package browser

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"

	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/internal/endpoint"
)

var (
	//go:embed open.html
	openText string
	//go:embed open.js
	openScript string
	//go:embed open.css
	openStyle string

	openTemplate = template.Must(template.New("open").Parse(openText))
	openPolicy   = "default-src 'none'; style-src " + httpapi.HashSource(httpapi.PageStyle+openStyle) + "; script-src " + httpapi.HashSource(openScript) +
		"; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

// open answers GET <path>/open: the page is the same for everyone.
func (a *API) open(w http.ResponseWriter, _ *http.Request) error {
	var text bytes.Buffer
	err := openTemplate.Execute(&text, map[string]any{
		"Path": a.Path + OpenPath, "SignIn": a.Links.SignIn,
		"Style": template.CSS(httpapi.PageStyle + openStyle), "Script": template.JS(openScript), //nolint:gosec // they are ours
	})
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Security-Policy", openPolicy)
	header.Set("Referrer-Policy", "same-origin") // without a referrer policy like this, forms would send Origin: null
	endpoint.Write(w, http.StatusOK, "text/html; charset=utf-8", text.Bytes())
	return nil
}
