// Package demoidp is an OpenID provider to try out the example with, on one machine: it asks for no
// password, and whoever comes chooses who they are. It is for nothing else.
//
// It has what a site needs whose people sign in by the code flow (OpenID Connect Core 1.0, PKCE as
// RFC 7636): a discovery document, keys, a page with the people, ID tokens, and a sign-out
// (RP-Initiated Logout 1.0). Its one client is public.
package demoidp
