package jose

import "errors"

// Reasons to refuse a token. The errors contain nothing of the token.
var (
	// ErrTooLarge means that a token is longer than MaxTokenSize.
	ErrTooLarge = errors.New("token is too large")
	// ErrNotCompact means that a token is not three segments of base64url separated by dots (RFC
	// 7515 section 7.1).
	ErrNotCompact = errors.New("token is not in compact form")
	// ErrEncrypted means that a token has the five segments of a JWE.
	ErrEncrypted = errors.New("token is encrypted")
	// ErrBase64 means that a segment is not canonical base64url: it is padded, or has unused bits
	// that are not zero (RFC 4648 section 3.5).
	ErrBase64 = errors.New("token is not canonical base64url")
	// ErrHeader means that the header is not strict JSON, or that a member has the wrong type or
	// size.
	ErrHeader = errors.New("token header is malformed")
	// ErrHeaderMember means that the header has "b64" (RFC 7797), which changes what is signed.
	ErrHeaderMember = errors.New("token header has a member that is not allowed")
	// ErrCritical means that the header has "crit": no extension is supported.
	ErrCritical = errors.New("token header has critical extensions")
	// ErrAlgorithm means that an algorithm is missing, unknown, not allowed, or not that of the
	// key.
	ErrAlgorithm = errors.New("algorithm is not allowed")
	// ErrNested means that the payload is itself a token.
	ErrNested = errors.New("token is nested")
	// ErrClaims means that the payload is not one strict JSON object.
	ErrClaims = errors.New("token claims are malformed")
	// ErrSignature means that the signature was not made with the key.
	ErrSignature = errors.New("token signature is wrong")
	// ErrUnknownKey means that there is no key for a token.
	ErrUnknownKey = errors.New("token key is unknown")
)

// Reasons to refuse a key. The errors contain nothing of the key.
var (
	// ErrKey means that a key cannot be parsed.
	ErrKey = errors.New("key is malformed")
	// ErrKeySet means that data is not a JWK set (RFC 7517 section 5).
	ErrKeySet = errors.New("not a JWK set")
	// ErrUnsupportedKey means that a key type or curve is not supported.
	ErrUnsupportedKey = errors.New("key type is not supported")
	// ErrKeyUse means that a key is not for verifying signatures.
	ErrKeyUse = errors.New("key is not for signatures")
	// ErrWeakKey means that a key is too short or has a known weakness.
	ErrWeakKey = errors.New("key is too weak")
	// ErrPrivateKey means that a key is private where only public keys are allowed.
	ErrPrivateKey = errors.New("key is private")
	// ErrSymmetricKey means that a key is symmetric where none are allowed.
	ErrSymmetricKey = errors.New("key is symmetric")
	// ErrMixedKeys means that a set contains both symmetric and asymmetric keys.
	ErrMixedKeys = errors.New("symmetric and asymmetric keys in one set")
	// ErrDuplicateKey means that two different keys have the same ID and algorithm.
	ErrDuplicateKey = errors.New("key ID is not unique")
)
