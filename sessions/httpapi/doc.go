// Package httpapi speaks HTTP for authsidecar: which requests are ours, what
// they ask, and how the answer is written. It decides nothing.
//
//	API.Route        is this request ours, an alias of ours, or the app's?
//	bearer.Verify    who is calling?                  → 401, 503
//	parseCreate      what is asked?                   → 400, 413, 415
//	Manager.Create   may they, and the session        → 400, 403, 409, 422, 503
//
// Every answer is written here, errors as problem details (RFC 9457).
package httpapi
