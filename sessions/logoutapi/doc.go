// Package logoutapi serves the endpoints at which trusted issuers report what is over:
//
//	POST <path>/backchannel-logout   a logout token (OpenID Connect Back-Channel Logout 1.0), in a form
//	POST <path>/events               a security event token (RFC 8417), pushed (RFC 8935)
//
// Both kinds of tokens are verified with the keys of the trust, but by rules of their own: they are
// not callers' tokens.
//
//	form, issuer       bearer.VerifySigned: strict JWS, a trusted issuer that is configured here
//	claims             checkLogout, checkEvent: before the signature, so that forgeries are cheap
//	signature          with the keys of that issuer
//	subject            subjectOf: sub and sid, or sub_id (RFC 9493) and its predecessors
//	action             logout.Logouts, as configured for the event
//
// A repeated token gets the same response as the first, without remembering anything: its sessions
// are revoked already.
package logoutapi
