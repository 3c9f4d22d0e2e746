package forward

import "net/http"

// PathHeaders are the headers in which proxies give an app another path than that of the
// request, or what to cut from it and put before it. An app that reads them takes them from
// anybody whom no proxy in front keeps from sending them.
var PathHeaders = []string{
	"X-Original-Url", "X-Rewrite-Url", "X-Override-Url", // IIS, ISAPI_Rewrite; Laminas, and Symfony of old, route by them
	"X-Original-Uri", "X-Original-Path", "X-Request-Uri", // nginx and its ingress controller
	"X-Forwarded-Uri", "X-Forwarded-Url", "X-Forwarded-Path", "X-Forwarded-Prefix", "X-Replaced-Path", // Traefik, Kong, Spring; Caddy's forward_auth
	"X-Envoy-Original-Path",
	"X-Ms-Original-Url", "X-Waws-Unencoded-Url", // Azure
	"X-Script-Name", "Script-Name", "Path-Info", // WSGI: gunicorn, and middleware that cuts a prefix
	"X-Ingress-Path", "X-Matched-Path", "X-Invoke-Path", // Home Assistant, Next.js
}

var pathNames = NewNames(PathHeaders)

// DropPathHeaders removes the PathHeaders, however they are spelled.
func DropPathHeaders(r *http.Request) { pathNames.Scrub(r, nil) }
