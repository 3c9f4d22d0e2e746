package browser

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
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
	openPolicy   = "default-src 'none'; style-src " + hashOf(httpapi.PageStyle+openStyle) + "; script-src " + hashOf(openScript) +
		"; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

// hashOf names an inline style or script in a policy (CSP Level 3, section 2.3.1).
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// open answers GET <path>/open: the same page for everybody.
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
	header.Set("Referrer-Policy", "same-origin") // without one, forms would say Origin: null
	endpoint.Write(w, http.StatusOK, "text/html; charset=utf-8", text.Bytes())
	return nil
}
