package jose

import (
	"encoding/json"
	"fmt"
	"slices"
)

// A jwk is a JSON Web Key as it is written. Its JSON was checked by strictjson.
type jwk struct {
	kty, crv, alg, use, kid string
	operations              []string
	members                 map[string]json.RawMessage
}

// readJWK reads what describes a key. With an error, too, kid is what could be
// read of it.
func readJWK(raw json.RawMessage) (w jwk, err error) {
	if raw[0] != '{' || json.Unmarshal(raw, &w.members) != nil {
		return w, fmt.Errorf("%w: it is not an object", ErrKey)
	}
	for _, member := range []struct {
		name string
		text *string
	}{{"kid", &w.kid}, {"kty", &w.kty}, {"crv", &w.crv}, {"alg", &w.alg}, {"use", &w.use}} {
		if *member.text, err = w.text(member.name); err != nil {
			return w, err
		}
	}
	if raw, there := w.members["key_ops"]; there {
		if raw[0] != '[' || json.Unmarshal(raw, &w.operations) != nil || len(w.operations) == 0 {
			return w, fmt.Errorf("%w: key_ops is not an array of strings", ErrKey)
		}
	}
	return w, nil
}

// text returns a member that is a short string, or "" where it is absent.
func (w *jwk) text(name string) (text string, err error) {
	raw, there := w.members[name]
	if !there {
		return "", nil
	}
	if raw[0] != '"' || len(raw) > 6*maxIDSize+2 || json.Unmarshal(raw, &text) != nil || len(text) > maxIDSize {
		return "", fmt.Errorf("%w: %s is not a string of up to %d bytes", ErrKey, name, maxIDSize)
	}
	return text, nil
}

// bytes returns a member that is canonical base64url.
func (w *jwk) bytes(name string) ([]byte, error) {
	var text string
	if raw := w.members[name]; len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
		return nil, fmt.Errorf("%w: %s is not a string", ErrKey, name)
	}
	data, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not canonical base64url", ErrKey, name)
	}
	return data, nil
}

func (w *jwk) private() bool {
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, there := w.members[name]; there {
			return true
		}
	}
	return false
}

// usable tells whether the key is meant for one of these operations (RFC 7517
// sections 4.2 and 4.3).
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

// key returns the key that verifies. With private, a private key is as good as
// its public part.
func (w *jwk) key(p KeyPolicy, private bool) (*Key, error) {
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
	return newKey(w.kid, w.alg, material, p.allowed())
}
