// Package logoutapi serves the endpoints at which trusted issuers say what is over there:
//
//	POST <path>/backchannel-logout   a logout token (OpenID Connect Back-Channel Logout 1.0), in a form
//	POST <path>/events               a security event token (RFC 8417), pushed (RFC 8935)
//
// Both kinds of tokens have rules of their own, over the keys of the trust: they are no caller's.
//
//	form, issuer       bearer.VerifySigned: strict JWS, a trusted issuer that is configured here
//	claims             checkLogout, checkEvent: before the signature, so that forgers cost little
//	signature          by the keys of that issuer
//	subject            subjectOf: sub and sid, or sub_id (RFC 9493) and what came before it
//	what it does       logout.Logouts, by the action that is configured for the event
//
// A token that comes again is answered like the first, without anything to remember: what it
// ends is over.
package logoutapi
