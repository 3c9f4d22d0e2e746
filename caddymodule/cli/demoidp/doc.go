// Package demoidp is an OpenID provider for trying out the example on one machine: it asks for no
// password, and visitors choose who they are. Do not use it for anything else.
//
// It has what a site needs for signing people in with the code flow (OpenID Connect Core 1.0, PKCE
// as in RFC 7636): a discovery document, keys, a page with the people, ID tokens, and a sign-out
// (RP-Initiated Logout 1.0). Its only client is public.
package demoidp
