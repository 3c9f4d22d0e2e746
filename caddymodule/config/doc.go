// Package config is what an operator writes: the auth_sessions block of a Caddyfile, and the
// same as JSON.
//
//	Block                      one issuer's configuration; its parts are Trust, Rule, Identity, …
//	Prepare                    sets defaults, gives placeholders their values, then checks
//	Check                      finds what is wrong, without a file or the network
//	Warnings                   finds what works and will hurt
//	Policy, BearerIssuer, …    what the domain gets of it
//
// A new word of the Caddyfile belongs here: a field with its JSON name, its default and its
// check beside it. Its reader is in package directive. A text takes
// placeholders where the tag of its field says so (package placeholder). Nothing here knows a
// request, a store or a key.
package config
