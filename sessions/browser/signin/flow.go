package signin

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A flow is one pending sign-in, in one tab of a browser. The name of its cookie contains its
// state, and its value the rest, encrypted: reading a cookie reveals nothing that the provider
// would accept, and writing one does not create a flow.
type flow struct {
	state    string
	seed     [32]byte // for the verifier and the nonce
	started  time.Time
	again    bool // the person must authenticate even if the provider knows them
	returnTo string
}

func newFlow(now time.Time, returnTo string) *flow {
	f := &flow{state: rand.Text(), started: now, returnTo: returnTo}
	_, _ = rand.Read(f.seed[:]) // never fails: it crashes the process instead
	return f
}

// verifier is the PKCE code verifier (RFC 7636 section 4.1), and nonce that of the ID token.
func (f *flow) verifier() string { return f.derive("code verifier") }
func (f *flow) nonce() string    { return f.derive("nonce") }

func (f *flow) derive(use string) string {
	mac := hmac.New(sha256.New, f.seed[:])
	_, _ = mac.Write([]byte(use))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// flowHead is the size of the part of a flow before the way back, in bytes: the time, the seed, and
// whether it was begun with Again.
const flowHead = 8 + 32 + 1

// seal returns the encrypted value of the flow's cookie.
func (c *Client) seal(f *flow) (string, error) {
	box, err := c.cipher()
	if err != nil {
		return "", err
	}
	plain := binary.BigEndian.AppendUint64(make([]byte, 0, flowHead+len(f.returnTo)), uint64(f.started.Unix()))
	plain = append(plain, f.seed[:]...)
	plain = append(plain, 0)
	if f.again {
		plain[flowHead-1] = 1
	}
	plain = append(plain, f.returnTo...)
	return base64.RawURLEncoding.EncodeToString(box.Seal(nil, nil, plain, []byte(f.state))), nil //nolint:gosec // it generates its own nonce
}

// open decrypts the flow in a cookie; nil if it is not valid or has expired.
func (c *Client) open(state, value string) *flow {
	box, err := c.cipher()
	if err != nil {
		return nil
	}
	sealed, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return nil
	}
	plain, err := box.Open(nil, nil, sealed, []byte(state))
	if err != nil || len(plain) < flowHead {
		return nil
	}
	f := &flow{state: state, started: time.Unix(int64(binary.BigEndian.Uint64(plain)), 0), again: plain[flowHead-1] == 1, returnTo: string(plain[flowHead:])}
	copy(f.seed[:], plain[8:])
	if c.Now().Sub(f.started) > MaxFlow {
		return nil
	}
	return f
}

// cipher returns a cipher with a key for this provider and client only.
func (c *Client) cipher() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, c.Key(), nil, "sign-in flow 2\x00"+c.Issuer+"\x00"+c.ClientID, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// pendingFlows returns the pending flows of a browser, oldest first, and the names of invalid or
// duplicate cookies.
func (c *Client) pendingFlows(r *http.Request) (flows []*flow, stale []string) {
	seen := make(map[string]int)
	for _, cookie := range r.Cookies() {
		state, ours := strings.CutPrefix(cookie.Name, c.Cookie)
		if !ours || state == "" {
			continue
		}
		if seen[state]++; seen[state] > 1 {
			flows = slices.DeleteFunc(flows, func(f *flow) bool { return f.state == state })
			stale = append(stale, state)
		} else if f := c.open(state, cookie.Value); f != nil {
			flows = append(flows, f)
		} else {
			stale = append(stale, state)
		}
	}
	slices.SortStableFunc(flows, func(a, b *flow) int { return a.started.Compare(b.started) })
	slices.Sort(stale)
	return flows, slices.Compact(stale)
}

// setCookie sets the cookie of a flow; an empty value removes it.
func (c *Client) setCookie(w http.ResponseWriter, state, value string) {
	age := int(MaxFlow / time.Second)
	if value == "" {
		age = -1
	}
	cookie := http.Cookie{ //nolint:gosec // Secure is left out only on a loopback site
		Name: c.Cookie + state, Value: value, Path: "/", MaxAge: age, Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	w.Header().Add("Set-Cookie", cookie.String())
	w.Header().Set("Cache-Control", "no-store")
}
