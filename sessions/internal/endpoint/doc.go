// Package endpoint is what our endpoints share: routing, reading bodies, and writing responses.
package endpoint
