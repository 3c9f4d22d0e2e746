// Package config is the configuration: the auth_sessions block of a Caddyfile, and its JSON form.
//
//	Block                      one issuer's configuration; its parts are Trust, Rule, Identity, …
//	Prepare                    sets defaults, resolves placeholders, then checks
//	Check                      finds errors, without a file or the network
//	Warnings                   finds settings that are valid but dangerous
//	Policy, BearerIssuer, …    the configuration of the domain packages
//
// A new word of the Caddyfile needs a field here, with its JSON name, its default and its check.
// Its parser is in package directive. A field accepts placeholders if its tag says so (package
// placeholder). Nothing here depends on a request, a store or a key.
package config
