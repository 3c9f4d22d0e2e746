package jose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"authsidecar/sessions/strictjson"
)

// A jwk is a JSON Web Key before it is interpreted.
type jwk struct {
	kty, crv, alg, use, kid, issuer string
	operations                      []string
	members                         map[string]strictjson.Member
}

// readJWK parses the strict JSON of a key. If it fails, kid and kty are set as far as they could be
// read.
func readJWK(raw []byte) (w jwk, err error) {
	members, err := strictjson.Members(raw, maxKeyDepth)
	if err != nil {
		return w, fmt.Errorf("%w: %w", ErrKey, err)
	}
	w.members = make(map[string]strictjson.Member, len(members))
	for _, member := range members {
		w.members[member.Name] = member
	}
	if w.kid, err = w.id(); err != nil {
		return w, err
	}
	for _, member := range []struct {
		name string
		text *string
	}{{"kty", &w.kty}, {"crv", &w.crv}, {"alg", &w.alg}, {"use", &w.use}, {"issuer", &w.issuer}} {
		if *member.text, err = w.text(member.name); err != nil {
			return w, err
		}
	}
	if _, there := w.members["issuer"]; there && w.issuer == "" {
		return w, fmt.Errorf("%w: its issuer is empty", ErrKey)
	}
	if operations, there := w.members["key_ops"]; there {
		if json.Unmarshal(operations.Value, &w.operations) != nil || len(w.operations) == 0 {
			return w, fmt.Errorf("%w: key_ops is not an array of strings", ErrKey)
		}
	}
	return w, nil
}

// id returns the "kid". It should be a string (RFC 7517 section 4.5); a whole number, which some
// issuers write, counts as its digits.
func (w *jwk) id() (string, error) {
	raw := w.members["kid"].Value
	if len(raw) > 0 && len(raw) <= maxIDSize && strings.Trim(string(raw), "0123456789") == "" {
		return string(raw), nil
	}
	return w.text("kid")
}

// text returns a member that is a short string; "" if it is absent.
func (w *jwk) text(name string) (string, error) {
	member, there := w.members[name]
	text, ok := member.Text()
	if there && (!ok || len(text) > maxIDSize) {
		return "", fmt.Errorf("%w: %s is not a string of up to %d bytes", ErrKey, name, maxIDSize)
	}
	return text, nil
}

// bytes returns a member that is canonical base64url.
func (w *jwk) bytes(name string) ([]byte, error) {
	member := w.members[name]
	text, ok := member.Text()
	if !ok {
		return nil, fmt.Errorf("%w: %s is not a string", ErrKey, name)
	}
	data, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not canonical base64url", ErrKey, name)
	}
	return data, nil
}

// all returns several such members.
func (w *jwk) all(names ...string) (all [][]byte, err error) {
	for _, name := range names {
		data, err := w.bytes(name)
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (w *jwk) private() bool {
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, there := w.members[name]; there {
			return true
		}
	}
	return false
}

// usable returns nil if the key is for one of these operations (RFC 7517 sections 4.2 and 4.3).
func (w *jwk) usable(operations ...string) error {
	if _, there := w.members["use"]; there && w.use != "sig" {
		return ErrKeyUse
	}
	if _, there := w.members["key_ops"]; !there {
		return nil
	}
	for _, operation := range operations {
		if slices.Contains(w.operations, operation) {
			return nil
		}
	}
	return ErrKeyUse
}

func isAsymmetric(kty string) bool { return kty == "EC" || kty == "OKP" || kty == "RSA" }

// keys returns the verification keys, one for each algorithm. If private is set, a private key
// counts as its public part.
func (w *jwk) keys(p KeyPolicy, private bool) ([]*Key, error) {
	operations := []string{"verify"}
	switch {
	case w.kty == "oct" && !p.Symmetric:
		return nil, ErrSymmetricKey
	case w.kty != "oct" && !isAsymmetric(w.kty):
		return nil, fmt.Errorf("%w: its kty", ErrUnsupportedKey)
	case w.kty != "oct" && w.private() && !private:
		return nil, ErrPrivateKey
	case private:
		operations = append(operations, "sign")
	}
	if err := w.usable(operations...); err != nil {
		return nil, err
	}
	if _, there := w.members["alg"]; there {
		if _, err := ParseAlgorithm(w.alg); err != nil {
			return nil, err
		}
	}
	material, err := w.material()
	if err != nil {
		return nil, err
	}
	keys, err := newKeys(w.kid, w.alg, material, p.allowed())
	for _, key := range keys {
		key.issuer, key.private = w.issuer, w.kty != "oct" && w.private()
	}
	return keys, err
}
