// Package cors lets scripts of other origins call our endpoints (the CORS protocol of
// https://fetch.spec.whatwg.org/#http-cors-protocol). It does not apply to responses of the app.
package cors
