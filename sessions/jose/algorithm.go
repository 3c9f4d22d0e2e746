package jose

// An Algorithm is a JWS algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1).
type Algorithm string

// The algorithms. There is no "none" and no ES256K.
const (
	ES256 Algorithm = "ES256"
	ES384 Algorithm = "ES384"
	ES512 Algorithm = "ES512"
	EdDSA Algorithm = "EdDSA"
	RS256 Algorithm = "RS256"
	RS384 Algorithm = "RS384"
	RS512 Algorithm = "RS512"
	PS256 Algorithm = "PS256"
	PS384 Algorithm = "PS384"
	PS512 Algorithm = "PS512"
	HS256 Algorithm = "HS256"
	HS384 Algorithm = "HS384"
	HS512 Algorithm = "HS512"
)

// ParseAlgorithm returns the algorithm of that name, in that case, or
// ErrAlgorithm.
func ParseAlgorithm(name string) (Algorithm, error) { return "", ErrAlgorithm }

// Symmetric tells whether who verifies can sign, too.
func (a Algorithm) Symmetric() bool { return a == HS256 || a == HS384 || a == HS512 }

// Asymmetric returns all algorithms with public keys.
func Asymmetric() []Algorithm { return nil }
