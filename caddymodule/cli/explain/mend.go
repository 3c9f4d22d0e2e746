package explain

import (
	"maps"
	"slices"

	"authsidecar/sessions/bearer"
)

// MendOwn returns what to do about a reason if the token claims to be an access token of this site:
// trust blocks do not apply to those.
func MendOwn(reason bearer.Reason) string {
	switch reason {
	case bearer.ReasonExpired:
		return "refresh the session: access tokens are good for minutes"
	case bearer.ReasonType, bearer.ReasonSession:
		return Mend(reason)
	case bearer.ReasonAudience:
		return "refresh the session: it was issued for another audience than access_token now says"
	default:
		return "refresh the session, or sign in again: it names this site as its issuer, but this site issues no such tokens. Somebody forged or changed it, or the signing keys have been replaced: see caddy auth-sessions keys"
	}
}

// Mend returns what to do about a reason.
func Mend(reason bearer.Reason) string { return mendTexts[reason] }

// Reasons returns all reasons for which there is advice.
func Reasons() []bearer.Reason { return slices.Sorted(maps.Keys(mendTexts)) }

var mendTexts = map[bearer.Reason]string{
	bearer.ReasonTooLarge:      "let the identity provider put less into it: 16 KiB are taken",
	bearer.ReasonForm:          "present a signed JWT as it was issued: three parts with dots between, nothing before or after; an opaque token cannot be verified here",
	bearer.ReasonEncrypted:     "let the identity provider issue signed tokens for this audience: encrypted ones cannot be read here",
	bearer.ReasonBase64:        "take the token as it was issued: something on the way changed or cut it",
	bearer.ReasonHeader:        "let the issuer write a plain JSON header with alg, kid and typ, each of them once",
	bearer.ReasonHeaderMember:  "let the issuer leave out b64: what is signed is always base64url",
	bearer.ReasonCritical:      "let the issuer sign without crit and b64: no extension is understood",
	bearer.ReasonAlgorithm:     "let the issuer sign with the algorithm of its key, or name that one by algorithms in its trust block",
	bearer.ReasonNested:        "present the inner token: a token in a token is not opened",
	bearer.ReasonUnknownIssuer: "get a token of an issuer that a trust block names, byte for byte (a slash at the end counts), or add: trust <issuer> { audience <ours> }",
	bearer.ReasonUnknownKey:    "see which keys are known: caddy auth-sessions keys; a new one is had by: caddy auth-sessions keys --refresh; a key file has to hold it",
	bearer.ReasonSignature:     "take the token as it was issued; if it was, jwks or key in the trust block are of somebody else: another tenant, or another stage",
	bearer.ReasonClaims:        "let the issuer write claims that are one JSON object, with each name once and the types of RFC 7519: numbers for exp, nbf and iat, text for the rest",
	bearer.ReasonType:          "present an access token; a refresh token of ours goes to current/refresh alone. If the issuer types its access tokens otherwise, name it: types <typ>",
	bearer.ReasonKind:          "present an access token: this one says that it is for something else, refreshing, signing out or telling of an event",
	bearer.ReasonIDToken:       "present the access token and not the ID token, which is for the client that signed in; or accept them in the trust block: id_tokens",
	bearer.ReasonIDTokenAge:    "present an ID token that was issued just now, with iat in it; or say in the trust block how old it may be, as in: id_tokens 1h",
	bearer.ReasonBound:         "ask the issuer for a bearer token: this one is bound to a key or a certificate (cnf)",
	bearer.ReasonAudience:      "ask the issuer for a token for our audience, or add the one that it has to audience in the trust block, if it is for this app only; for a token without aud, name the claim that stands in for it, as in: audience_claim client_id",
	bearer.ReasonNoExpiry:      "let the issuer put exp into it: a token without end is not taken",
	bearer.ReasonExpired:       "get a new token; if it is new, a clock is off: compare that of this machine with the issuer's, or raise leeway",
	bearer.ReasonLifetime:      "let the issuer make it live shorter, or raise max_lifetime in the trust block",
	bearer.ReasonNotYet:        "wait until it begins; if it should have, a clock is off: compare that of this machine with the issuer's, or raise leeway",
	bearer.ReasonIssuedLater:   "compare the clock of this machine with the issuer's: it was issued in the future; or raise leeway",
	bearer.ReasonSubject:       "let the issuer put sub into it: who calls, 1 to 255 bytes without control characters and without blanks around it; or name the claim that says it, as in: user_claim oid",
	bearer.ReasonUnverified:    "let the issuer verify the address and say so with email_verified; if nobody can change theirs to another person's, write: user_claim email unverified",
	bearer.ReasonOnly:          "get a token that satisfies each only in the trust block, or mend these",
	bearer.ReasonActor:         "let the issuer name the party that uses the token in act, with sub; or call with a token of your own",
	bearer.ReasonSession:       "sign in again: it says it is an access token of ours and does not name its session",
}
