// Package httpapi is the HTTP API of authsidecar: it recognizes our requests, parses them, and
// writes the responses. It decides nothing itself.
//
//	API.Route        ours, a variant of ours, or the app's?
//	bearer.Verify    who is the caller?               → 401, 503
//	parseCreate      what do they request?            → 400, 413, 415
//	Manager.Create   may they, and the session        → 400, 403, 409, 422, 503
//
// Every response is written here, errors as problem details (RFC 9457).
package httpapi
