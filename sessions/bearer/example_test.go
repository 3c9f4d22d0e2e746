package bearer_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
)

// Tokens of an identity provider are accepted where they are for us and in time. Why another
// one is refused is for our logs: one word, and nothing of the token.
func Example() {
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		panic(err)
	}
	keys, err := bearer.NewStatic(key.Public())
	if err != nil {
		panic(err)
	}
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	verifier, err := bearer.New(bearer.Config{
		Issuers: []bearer.Issuer{{
			Name: "https://idp.example.com", Keys: keys, Audiences: []string{"https://app.example.com"}, Users: true,
		}},
		Now: func() time.Time { return now },
	})
	if err != nil {
		panic(err)
	}
	token := func(audience string) string {
		claims := fmt.Sprintf(`{"iss":"https://idp.example.com","sub":"alice","aud":%q,"exp":%d}`, audience, now.Add(time.Hour).Unix())
		signed, err := key.Sign(fmt.Appendf(nil, `{"alg":"ES256","typ":"JWT","kid":%q}`, key.ID()), []byte(claims))
		if err != nil {
			panic(err)
		}
		return signed
	}

	caller, err := verifier.Verify(context.Background(), token("https://app.example.com"))
	fmt.Println(caller.Subject, caller.IsUser(), err)

	_, err = verifier.Verify(context.Background(), token("https://other.example.com"))
	var refusal *bearer.Refusal
	fmt.Println(errors.As(err, &refusal), refusal.Reason)
	// Output:
	// alice true <nil>
	// true audience
}
