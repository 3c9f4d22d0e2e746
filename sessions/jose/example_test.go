package jose_test

import (
	"errors"
	"fmt"

	"authsidecar/sessions/jose"
)

// A token is read, its one key is looked up, and the signature is verified. What its claims
// say before that was perhaps written by anybody.
func Example() {
	private, err := jose.Generate(jose.EdDSA)
	if err != nil {
		panic(err)
	}
	keys, err := jose.NewSet(private.Public())
	if err != nil {
		panic(err)
	}
	header := fmt.Appendf(nil, `{"alg":"EdDSA","kid":%q}`, private.ID())
	compact, err := private.Sign(header, []byte(`{"sub":"alice"}`))
	if err != nil {
		panic(err)
	}

	token, err := jose.Parse(compact)
	if err != nil {
		panic(err)
	}
	key, err := keys.Lookup(token.Header.KeyID, jose.EdDSA)
	if err != nil {
		panic(err)
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	fmt.Println(token.Verify(key, &claims), claims.Subject)

	other, err := jose.Generate(jose.EdDSA)
	if err != nil {
		panic(err)
	}
	fmt.Println(errors.Is(token.Verify(other.Public(), &claims), jose.ErrSignature))
	// Output:
	// <nil> alice
	// true
}
