// Package cors lets scripts of pages of other origins call our endpoints (the CORS protocol of
// https://fetch.spec.whatwg.org/#http-cors-protocol). It knows nothing of what the app serves.
package cors
