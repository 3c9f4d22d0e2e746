package jose

import "errors"

// Why a token is refused. The errors hold nothing of the token.
var (
	// ErrTooLarge means that a token is longer than MaxTokenSize.
	ErrTooLarge = errors.New("token is too large")
	// ErrNotCompact means that a token is not three segments of base64url with
	// dots between (RFC 7515 section 7.1).
	ErrNotCompact = errors.New("token is not in compact form")
	// ErrEncrypted means that a token has the five segments of a JWE.
	ErrEncrypted = errors.New("token is encrypted")
	// ErrBase64 means that a segment is not the one base64url spelling of its
	// bytes: padded, or with unused bits that are not zero (RFC 4648 section 3.5).
	ErrBase64 = errors.New("token is not canonical base64url")
	// ErrHeader means that a header is not strict JSON, or a member has the
	// wrong type or size.
	ErrHeader = errors.New("token header is malformed")
	// ErrHeaderMember means that a header has "b64" (RFC 7797), which changes what
	// is signed.
	ErrHeaderMember = errors.New("token header has a member that is not allowed")
	// ErrCritical means that a header has "crit": no extension is understood.
	ErrCritical = errors.New("token header has critical extensions")
	// ErrAlgorithm means that an algorithm is missing, unknown, not allowed, or
	// not that of the key.
	ErrAlgorithm = errors.New("algorithm is not allowed")
	// ErrNested means that the payload is a token itself.
	ErrNested = errors.New("token is nested")
	// ErrClaims means that the payload is not one strict JSON object.
	ErrClaims = errors.New("token claims are malformed")
	// ErrSignature means that the signature is not the key's.
	ErrSignature = errors.New("token signature is wrong")
	// ErrUnknownKey means that no key is there for a token.
	ErrUnknownKey = errors.New("token key is unknown")
)

// Why a key is refused. The errors hold nothing of the key.
var (
	// ErrKey means that a key cannot be read.
	ErrKey = errors.New("key is malformed")
	// ErrKeySet means that data is no JWK set (RFC 7517 section 5).
	ErrKeySet = errors.New("not a JWK set")
	// ErrUnsupportedKey means a key type or curve that is not supported.
	ErrUnsupportedKey = errors.New("key type is not supported")
	// ErrKeyUse means that a key is not meant to verify signatures.
	ErrKeyUse = errors.New("key is not for signatures")
	// ErrWeakKey means that a key is too short or of a known weakness.
	ErrWeakKey = errors.New("key is too weak")
	// ErrPrivateKey means that a private key stands where only a public one may.
	ErrPrivateKey = errors.New("key is private")
	// ErrSymmetricKey means that a symmetric key stands where none may.
	ErrSymmetricKey = errors.New("key is symmetric")
	// ErrMixedKeys means that symmetric and asymmetric keys are in one set.
	ErrMixedKeys = errors.New("symmetric and asymmetric keys in one set")
	// ErrDuplicateKey means that two different keys have one ID and one algorithm.
	ErrDuplicateKey = errors.New("key ID is not unique")
)
