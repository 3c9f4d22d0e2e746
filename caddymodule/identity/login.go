package identity

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/sessions/urlpath"
)

// sendToLogin redirects a person to where they can sign in.
func (m *Middleware) sendToLogin(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Location", loginURL(r, m.Login))
	w.Header().Set("Vary", "Authorization, Cookie, Sec-Fetch-Mode, Accept")
	w.WriteHeader(http.StatusFound)
}

// loginURL fills in the placeholders of login. The login page may redirect to their values, so none
// chosen by a client may lead away from this site: such values are dropped, and a URI that leads
// away is replaced by that of the root. Values are escaped in the query, so that none adds a
// parameter.
func loginURL(r *http.Request, login string) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return login
	}
	local := urlpath.Local(r.URL.RequestURI()) && urlpath.Local(requestedURL(r).RequestURI())
	inPath := func(name string, value any) (any, error) {
		text := caddy.ToString(value)
		switch {
		case !local && isURI(name):
			return rootOf(name), nil
		case fromClient(name) && !urlpath.Relative(text):
			return "", nil
		default:
			return text, nil
		}
	}
	inQuery := func(name string, value any) (any, error) {
		text, err := inPath(name, value)
		if !strings.HasPrefix(name, "http.") || strings.HasSuffix(name, "_escaped") {
			return text, err
		}
		return url.QueryEscape(caddy.ToString(text)), err
	}
	path, query, found := strings.Cut(login, "?")
	path, _ = repl.ReplaceFunc(path, inPath)
	if !found {
		return path
	}
	query, _ = repl.ReplaceFunc(query, inQuery)
	return path + "?" + query
}

// isURI reports whether the placeholder is the URI of the request, or a part of it.
func isURI(name string) bool {
	return strings.HasPrefix(name, "http.request.uri") || strings.HasPrefix(name, "http.request.orig_uri")
}

// rootOf returns the value of a URI placeholder for the root of the site.
func rootOf(name string) string {
	switch name[strings.LastIndex(name, "uri"):] {
	case "uri", "uri_escaped", "uri.path", "uri.path_escaped", "uri.path.dir":
		return "/"
	default:
		return ""
	}
}

// fromClient reports whether a link determines the value of the placeholder. The host does not
// count, since it is the site's; its port could look like the scheme of a URL.
func fromClient(name string) bool {
	return strings.HasPrefix(name, "http.") && name != "http.request.host" && name != "http.request.hostport"
}
