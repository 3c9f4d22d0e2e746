package pgtest

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"
)

// Password is that of the superuser.
const Password = "pg/test:pa55 word?@"

// verifier is what servers keep of the password (RFC 5803). A client whose password is checked
// computes as many rounds as it says: one, and not 4,096 for each connection of each test.
func verifier(t testing.TB) string {
	t.Helper()
	const rounds = 1
	salt := []byte("the same for all")
	salted, err := pbkdf2.Key(sha256.New, Password, salt, rounds, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	key := func(name string) []byte {
		mac := hmac.New(sha256.New, salted)
		_, _ = mac.Write([]byte(name))
		return mac.Sum(nil)
	}
	stored := sha256.Sum256(key("Client Key"))
	text := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", rounds, text(salt), text(stored[:]), text(key("Server Key")))
}
