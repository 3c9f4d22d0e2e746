// Package openapi holds the OpenAPI 3.1 description of every endpoint, and makes of it that of one
// site: what is off is not in it, and paths are where the site has them.
package openapi
