package bearer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"testing"
	"time"
)

// BenchmarkVerify/cold is a token seen for the first time; x-floor is how many
// times the bare signature check of crypto/ecdsa it takes. BenchmarkVerify/warm is
// one that is remembered.
func BenchmarkVerify(b *testing.B) {
	v := newVerifier(b, trust(b))
	good := token(b, object{
		"jti": "5f2c8f0e-4d4b-4b1c-9a3e", "scope": "openid profile sessions:impersonate",
		"email": "alice@example.com", "roles": []string{"support", "staff"}, "pad": strings.Repeat("x", 60),
	})
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			purge(v)
			if _, err := v.Verify(b.Context(), good); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/floor(b), "x-floor")
		b.ReportMetric(float64(len(good)), "token-B")
	})
	b.Run("warm", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(b.Context(), good); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("warm/parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := v.Verify(b.Context(), good); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// floor is how many nanoseconds the bare ES256 check takes.
func floor(b *testing.B) float64 {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	sum := sha256.Sum256([]byte("x"))
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		b.Fatal(err)
	}
	const times = 2000
	start := time.Now()
	for range times {
		if !ecdsa.VerifyASN1(&key.PublicKey, sum[:], signature) {
			b.Fatal("not verified")
		}
	}
	return float64(time.Since(start).Nanoseconds()) / times
}
