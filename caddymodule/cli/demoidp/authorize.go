package demoidp

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"authsidecar/sessions/httpapi"
)

// A request is an authorization request (OpenID Connect Core 1.0 section 3.1.2.1).
type request struct {
	redirect, state, nonce, challenge string
}

// proves reports whether the verifier matches the challenge (RFC 7636 section 4.6).
func (r *request) proves(verifier string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(r.challenge)) == 1
}

// read parses a request. known is false if its client is unknown: then the browser is not sent
// back. wrong is the error for the client; "" if there is none.
func (p *Provider) read(values url.Values) (r *request, known bool, wrong string) {
	for name := range values {
		if len(values[name]) > 1 { // RFC 6749 section 3.1
			return nil, false, ""
		}
	}
	r = &request{values.Get("redirect_uri"), values.Get("state"), values.Get("nonce"), values.Get("code_challenge")}
	if values.Get("client_id") != p.Client || !p.registered(r.redirect, "/sign-in/callback") {
		return nil, false, ""
	}
	switch {
	case values.Get("response_type") != "code":
		wrong = "unsupported_response_type"
	case !slices.Contains(strings.Fields(values.Get("scope")), "openid"), values.Get("request") != "", values.Get("request_uri") != "",
		values.Get("code_challenge_method") != "S256", len(r.challenge) != 43:
		wrong = "invalid_request"
	case values.Get("prompt") == "none": // section 3.1.2.6
		wrong = "login_required"
	}
	return r, true, wrong
}

// serveStart explains to a visitor what this is, and where to sign in.
func (p *Provider) serveStart(w http.ResponseWriter, _ *http.Request) {
	p.writePage(w, http.StatusOK, &page{Title: "An identity provider to try things out", Sites: p.Sites})
}

// serveAuthorize shows the people to choose from.
func (p *Provider) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	if _, ok := p.readOrSendBack(w, r, r.URL.Query()); ok {
		p.writePage(w, http.StatusOK, &page{Title: "Who are you?", People: p.People, Asked: r.URL.Query()})
	}
}

// serveChoice sends the browser back to the client, signed in as the chosen person.
func (p *Provider) serveChoice(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		p.writePage(w, http.StatusBadRequest, &page{Title: "This form cannot be read", Text: "Begin again at the site that sent you here."})
		return
	}
	name := r.PostForm.Get("person")
	r.PostForm.Del("person")
	asked, ok := p.readOrSendBack(w, r, r.PostForm)
	if !ok {
		return
	}
	at := slices.IndexFunc(p.People, func(person Person) bool { return person.Name == name })
	if at < 0 {
		p.sendBack(w, r, asked, url.Values{"error": {"access_denied"}})
		return
	}
	code := p.keep(&flow{request: asked, person: p.People[at], until: p.Now().Add(codeLife)})
	p.sendBack(w, r, asked, url.Values{"code": {code}})
}

// readOrSendBack parses a request, and answers it if it is wrong.
func (p *Provider) readOrSendBack(w http.ResponseWriter, r *http.Request, values url.Values) (*request, bool) {
	asked, known, wrong := p.read(values)
	switch {
	case !known:
		p.writePage(w, http.StatusBadRequest, &page{Title: "Unknown client", Text: "The client or its redirect URI is not known here: see the command line of demo-idp."})
	case wrong != "":
		p.sendBack(w, r, asked, url.Values{"error": {wrong}})
	default:
		return asked, true
	}
	return nil, false
}

// sendBack sends the browser back to the client (RFC 6749 section 4.1.2, RFC 9207).
func (p *Provider) sendBack(w http.ResponseWriter, r *http.Request, asked *request, answer url.Values) {
	answer.Set("iss", p.Issuer)
	if asked.state != "" {
		answer.Set("state", asked.state)
	}
	http.Redirect(w, r, asked.redirect+"?"+answer.Encode(), http.StatusSeeOther) //nolint:gosec // to the callback of a site that the operator named
}

var (
	//go:embed page.html
	pageText     string
	pageTemplate = template.Must(template.New("page").Parse(pageText))
)

// A page is what people see.
type page struct {
	Title, Text string
	Sites       []string // where people can sign in
	People      []Person
	Asked       url.Values // the client's request
	Style       template.CSS
}

func (p *Provider) writePage(w http.ResponseWriter, status int, content *page) {
	content.Style = template.CSS(httpapi.PageStyle) //nolint:gosec // it is ours
	var text bytes.Buffer
	if err := pageTemplate.Execute(&text, content); err != nil {
		http.Error(w, "The page cannot be written.", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", p.policy)
	header.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes())
}
