package explain

import "authsidecar/sessions/bearer"

// MendOwn returns what to do about a reason if the token claims to be an access token of this site:
// trust blocks do not apply to those.
func MendOwn(reason bearer.Reason) string {
	switch reason {
	case bearer.ReasonExpired:
		return "refresh the session: access tokens expire within minutes"
	case bearer.ReasonType, bearer.ReasonSession:
		return Mends[reason]
	case bearer.ReasonAudience:
		return "refresh the session: it was issued for an audience that access_token no longer has"
	default:
		return "refresh the session, or sign in again: it names this site as its issuer, but this site did not issue it. Somebody forged or changed it, or the signing keys have been replaced: see caddy auth-sessions keys"
	}
}

// Mends says what to do about each reason.
var Mends = map[bearer.Reason]string{
	bearer.ReasonTooLarge:      "have the identity provider put less into it: at most 16 KiB are accepted",
	bearer.ReasonForm:          "send a signed JWT exactly as it was issued, three parts with dots between them; an opaque token cannot be verified here",
	bearer.ReasonEncrypted:     "have the identity provider issue signed tokens for this audience: encrypted ones cannot be read here",
	bearer.ReasonBase64:        "send the token exactly as it was issued: something on the way changed or truncated it",
	bearer.ReasonHeader:        "have the issuer write a plain JSON header with alg, kid and typ, each at most once",
	bearer.ReasonHeaderMember:  "have the issuer leave out b64: the payload must be base64url",
	bearer.ReasonCritical:      "have the issuer sign without crit and b64: no extensions are supported",
	bearer.ReasonAlgorithm:     "have the issuer sign with the algorithm of its key, or add that algorithm to algorithms in its trust block",
	bearer.ReasonNested:        "send the inner token: nested tokens are not supported",
	bearer.ReasonUnknownIssuer: "get a token of an issuer that a trust block names exactly (a slash at the end counts), or add: trust <issuer> { audience <ours> }",
	bearer.ReasonUnknownKey:    "list the known keys with caddy auth-sessions keys, and fetch new ones with caddy auth-sessions keys --refresh; a key file must contain it",
	bearer.ReasonSignature:     "send the token exactly as it was issued; if you did, jwks or key in the trust block belongs to somebody else: another tenant, or another environment",
	bearer.ReasonClaims:        "have the issuer write the claims as one JSON object, with each name once and the types of RFC 7519: numbers for exp, nbf and iat, text for the rest",
	bearer.ReasonType:          "send an access token; our refresh tokens are only for current/refresh. If the issuer's access tokens have another typ, write: types <typ>",
	bearer.ReasonKind:          "send an access token: this one is marked as one for another purpose, such as refreshing, signing out or reporting an event",
	bearer.ReasonIDToken:       "send the access token rather than the ID token, which is for the client that signed in; or accept ID tokens in the trust block: id_tokens",
	bearer.ReasonIDTokenAge:    "send an ID token that was issued just now and has iat; or write in the trust block how old it may be, as in: id_tokens 1h",
	bearer.ReasonBound:         "ask the issuer for a bearer token: this one is bound to a key or a certificate (cnf)",
	bearer.ReasonAudience:      "ask the issuer for a token for our audience; or, if its audience is this app alone, add that to audience in the trust block; for a token without aud, name the claim to use instead, as in: audience_claim client_id",
	bearer.ReasonNoExpiry:      "have the issuer add exp: a token that never expires is not accepted",
	bearer.ReasonExpired:       "get a new token; if it is new, a clock is wrong: compare this machine's with the issuer's, or raise leeway",
	bearer.ReasonLifetime:      "have the issuer give it a shorter lifetime, or raise max_lifetime in the trust block",
	bearer.ReasonNotYet:        "wait until it is valid; if it should be by now, a clock is wrong: compare this machine's with the issuer's, or raise leeway",
	bearer.ReasonIssuedLater:   "compare the clock of this machine with the issuer's: it was issued in the future; or raise leeway",
	bearer.ReasonSubject:       "have the issuer add sub, which identifies the caller: 1 to 255 bytes without control characters and without blanks around it; or name another claim that does, as in: user_claim oid",
	bearer.ReasonUnverified:    "have the issuer verify the address and set email_verified; if nobody can change theirs to another person's, write: user_claim email unverified",
	bearer.ReasonOnly:          "get a token that satisfies each only in the trust block, or change those",
	bearer.ReasonActor:         "have the issuer name the party that uses the token in act, with sub; or call with a token of your own",
	bearer.ReasonSession:       "sign in again: it claims to be one of our access tokens, but does not name its session",
}
