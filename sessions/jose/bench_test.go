package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"strings"
	"testing"
)

const benchClaims = `{"iss":"https://idp.example.com","sub":"248289761001","aud":["https://app.example.com/auth/sessions"],"exp":1893456000,"iat":1893452400,"jti":"b7c1a2f4-4e0d-4a35-9a3c-2f7a1f1a0e55","client_id":"support-desk","scope":"openid profile sessions:impersonate"}`

// BenchmarkVerify is a whole token, next to the signature alone.
func BenchmarkVerify(b *testing.B) {
	for _, alg := range []Algorithm{ES256, ES384, ES512, EdDSA, RS256, PS256} {
		key := keyOf("bench", alg)
		token := sign(b, key, text(b, headerOf(key)), benchClaims)
		set, err := NewSet(key.Public())
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				parsed, err := Parse(token)
				if err != nil {
					b.Fatal(err)
				}
				public, err := set.Lookup(parsed.Header.KeyID, alg)
				if err != nil {
					b.Fatal(err)
				}
				if err := parsed.Verify(public, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(string(alg)+"/signature-alone", func(b *testing.B) { benchmarkRawVerify(b, alg, key, token) })
	}
}

func benchmarkRawVerify(b *testing.B, alg Algorithm, key *PrivateKey, token string) {
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		b.Fatal(err)
	}
	kind := kinds[alg]
	digest := []byte(token[:dot])
	if kind.hash != 0 {
		h := kind.hash.New()
		h.Write(digest)
		digest = h.Sum(nil)
	}
	var asn1 []byte
	if private, ok := key.signer().(*ecdsa.PrivateKey); ok {
		if asn1, err = ecdsa.SignASN1(nil, private, digest); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		good := false
		switch public := key.public.material().(type) {
		case *ecdsa.PublicKey:
			good = ecdsa.VerifyASN1(public, digest, asn1)
		case ed25519.PublicKey:
			good = ed25519.Verify(public, digest, signature)
		case *rsa.PublicKey:
			if kind.pss {
				good = rsa.VerifyPSS(public, kind.hash, digest, signature, nil) == nil
			} else {
				good = rsa.VerifyPKCS1v15(public, kind.hash, digest, signature) == nil
			}
		}
		if !good {
			b.Fatal("not verified")
		}
	}
}

func BenchmarkParse(b *testing.B) {
	key := keyOf("bench", ES256)
	token := sign(b, key, text(b, headerOf(key)), benchClaims)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSign is a whole token, next to the signature alone.
func BenchmarkSign(b *testing.B) {
	for _, alg := range []Algorithm{ES256, ES384, ES512, EdDSA, RS256, PS256} {
		key := keyOf("bench", alg)
		header, claims := []byte(text(b, headerOf(key))), []byte(benchClaims)
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := key.Sign(header, claims); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(string(alg)+"/signature-alone", func(b *testing.B) {
			message := []byte(b64(string(header)) + "." + b64(benchClaims))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := signature(key.signer(), alg, message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
