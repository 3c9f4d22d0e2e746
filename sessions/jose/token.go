package jose

// MaxTokenSize is how many bytes a token may have.
const MaxTokenSize = 8 << 10

// A Header is what a token says of itself. Type is "" where "typ" is absent.
type Header struct{ Algorithm, KeyID, Type, ContentType string }

// A Token is a compact JWS that nobody has verified yet.
type Token struct {
	Header Header
}

// Parse reads the form of a token, and its header.
func Parse(compact string) (*Token, error) { return nil, ErrNotCompact }

// Unverified returns the payload, which anybody may have written.
func (t *Token) Unverified() []byte { return nil }

// Verify returns the claims if the key's owner signed them.
func (t *Token) Verify(k *Key) (claims []byte, err error) { return nil, ErrSignature }
