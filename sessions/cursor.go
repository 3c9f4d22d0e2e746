package sessions

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// Cursors name the place of a session that whoever pages may not be allowed to
// see: outside they are sealed, with a key made from IDSecret.

func (m *Manager) cursorSeal() cipher.AEAD {
	mac := hmac.New(sha256.New, m.IDSecret)
	writeParts(mac, "cursor", m.Realm)
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // it is AES
	}
	return seal
}

// sealCursor makes a cursor of the store fit for others; "" stays "".
func (m *Manager) sealCursor(cursor string) string {
	if cursor == "" {
		return ""
	}
	sealed := m.cursorSeal().Seal(nil, nil, []byte(cursor), nil) //nolint:gosec // it makes its own random nonce
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// openCursor reads what sealCursor gave, or is ErrBadCursor.
func (m *Manager) openCursor(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return "", ErrBadCursor
	}
	cursor, err := m.cursorSeal().Open(nil, nil, sealed, nil)
	if err != nil {
		return "", ErrBadCursor
	}
	return string(cursor), nil
}
