package forward

import "net/http"

// PathHeaders are headers with which proxies tell an app another path than that of the request, or
// a prefix to strip or add. An app that reads them believes any client that no proxy prevents from
// sending them.
var PathHeaders = []string{
	"X-Original-Url", "X-Rewrite-Url", "X-Override-Url", // IIS, ISAPI_Rewrite; Laminas and old Symfony route by them
	"X-Original-Uri", "X-Original-Path", "X-Request-Uri", // nginx and its ingress controller
	"X-Forwarded-Uri", "X-Forwarded-Url", "X-Forwarded-Path", "X-Forwarded-Prefix", "X-Replaced-Path", // Traefik, Kong, Spring; Caddy's forward_auth
	"X-Envoy-Original-Path",
	"X-Ms-Original-Url", "X-Waws-Unencoded-Url", // Azure
	"X-Script-Name", "Script-Name", "Path-Info", // WSGI: gunicorn, and middleware that strips a prefix
	"X-Ingress-Path", "X-Matched-Path", "X-Invoke-Path", // Home Assistant, Next.js
}

var pathNames = NewNames(PathHeaders)

// DropPathHeaders removes the PathHeaders, in any spelling.
func DropPathHeaders(r *http.Request) { pathNames.Scrub(r, nil) }
