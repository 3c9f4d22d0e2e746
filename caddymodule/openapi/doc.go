// Package openapi contains the OpenAPI 3.1 description of every endpoint, and derives that of a
// site from it: without what is not served, and with the paths of the site.
package openapi
