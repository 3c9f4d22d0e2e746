package jose

import (
	"encoding/base64"
	"strings"
)

// MaxTokenSize is the maximum size of a token, in bytes: 200 groups of an identity provider take 11
// KB.
const MaxTokenSize = 16 << 10

// A Token is a compact JWS (RFC 7515 section 7.1) before verification.
type Token struct {
	// Header is the token's header.
	Header Header

	signed    []byte // header and payload as received, with the dot
	payload   []byte
	signature []byte
	claims    map[string]any // of payload, after the first call
}

// Parse parses the form and the header of a token without verifying anything. A token has one
// spelling: three segments of canonical base64url, without padding or white space. Its header is
// strict JSON: see Header.
//
// The errors are those of this package, and contain nothing of the token.
func Parse(compact string) (*Token, error) {
	if len(compact) > MaxTokenSize {
		return nil, ErrTooLarge
	}
	if err := checkForm(compact); err != nil {
		return nil, err
	}
	first, last := strings.IndexByte(compact, '.'), strings.LastIndexByte(compact, '.')
	header, err := decode(compact[:first])
	if err != nil {
		return nil, err
	}
	payload, err := decode(compact[first+1 : last])
	if err != nil {
		return nil, err
	}
	signature, err := decode(compact[last+1:])
	if err != nil {
		return nil, err
	}
	t := &Token{signed: []byte(compact[:last]), payload: payload, signature: signature}
	if t.Header, err = parseHeader(header); err != nil {
		return nil, err
	}
	return t, nil
}

// checkForm returns nil if text has the form of a compact JWS.
func checkForm(text string) error {
	dots := 0
	for i := range len(text) {
		if c := text[i]; c == '.' {
			dots++
		} else if !base64url[c] {
			return ErrNotCompact
		}
	}
	switch dots {
	case 2:
		return nil
	case 4:
		return ErrEncrypted
	default:
		return ErrNotCompact
	}
}

// base64url is the set of bytes in the alphabet of RFC 4648 section 5.
var base64url = func() (alphabet [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		alphabet[c] = true
	}
	return alphabet
}()

var strict = base64.RawURLEncoding.Strict()

// decode accepts only the canonical encoding. The library would skip line breaks.
func decode(text string) ([]byte, error) {
	if strings.IndexByte(text, '\n') >= 0 || strings.IndexByte(text, '\r') >= 0 {
		return nil, ErrBase64
	}
	data, err := strict.DecodeString(text)
	if err != nil {
		return nil, ErrBase64 // the library's error quotes positions
	}
	return data, nil
}
