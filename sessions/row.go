package sessions

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// rowFormat is the version of the encoding that this release writes. A release
// reads its own and every earlier one.
const rowFormat = 1

// The stored form of a Session is a JSON object: the names are those of the
// struct tags and those below, times in Unix milliseconds, bytes in base64url.
// What is empty is left out. Realm and ID are the key, not part of the value.
// The format comes first, so that a reader that does not know it stops there.
const (
	fieldFormat     = "v"
	fieldCreated    = "created"
	fieldExpires    = "expires"
	fieldIdle       = "idle" // milliseconds
	fieldGeneration = "gen"
	fieldSecret     = "rnd"
	fieldSecretPrev = "rnd_prev" //nolint:gosec // the name of a member
	fieldRotated    = "rotated"
	fieldRevoked    = "revoked"
	fieldRequest    = "request"
)

var zeroSecret [SecretSize]byte

// EncodeRow gives the value under which a store keeps the session. It is
// written by hand, since each create and each refresh waits for it.
func EncodeRow(s *Session) ([]byte, error) {
	w := rowWriter(make([]byte, 0, 640))
	w = append(w, `{"v":`...)
	w = strconv.AppendInt(w, rowFormat, 10)
	w.text("user", s.UserID)
	w.text("client", s.ClientID)
	if s.Impersonation {
		w = append(w, `,"imp":true`...)
	}
	w.optional("reason", s.Reason)
	w.principal("actor", &s.Actor)
	w.optional("actor_client", s.ActorClient)
	if err := w.claims("claims", s.ActorClaims); err != nil {
		return nil, fmt.Errorf("encoding session row: %w", err)
	}
	w.optional("rule", s.Rule)
	w.optional("ip", s.IP)
	w.optional("ua", s.UserAgent)
	w.text("kid", s.KeyID)
	w.optional("rip", s.RotatedFrom)
	w.optional("end", string(s.EndReason))
	w.int(fieldCreated, s.CreatedAt.UnixMilli())
	w.int(fieldExpires, s.ExpiresAt.UnixMilli())
	w.int(fieldIdle, s.Idle.Milliseconds())
	w.name(fieldGeneration)
	w = strconv.AppendUint(w, s.Generation, 10)
	w.bytes(fieldSecret, s.Secret[:])
	if s.SecretPrev != zeroSecret {
		w.bytes(fieldSecretPrev, s.SecretPrev[:])
	}
	w.int(fieldRotated, s.RotatedAt.UnixMilli())
	if !s.RevokedAt.IsZero() {
		w.int(fieldRevoked, s.RevokedAt.UnixMilli())
	}
	if len(s.RequestHash) > 0 {
		w.bytes(fieldRequest, s.RequestHash)
	}
	return append(w, '}'), nil
}

// A rowWriter appends members to a JSON object.
type rowWriter []byte

func (w *rowWriter) name(name string) {
	*w = append(append(append(*w, `,"`...), name...), `":`...)
}

func (w *rowWriter) int(name string, n int64) {
	w.name(name)
	*w = strconv.AppendInt(*w, n, 10)
}

func (w *rowWriter) bytes(name string, b []byte) {
	w.name(name)
	*w = append(base64.RawURLEncoding.AppendEncode(append(*w, '"'), b), '"')
}

func (w *rowWriter) text(name, s string) {
	w.name(name)
	w.quote(s)
}

func (w *rowWriter) optional(name, s string) {
	if s != "" {
		w.text(name, s)
	}
}

func (w *rowWriter) principal(name string, p *Principal) {
	w.name(name)
	*w = append(*w, `{"iss":`...)
	w.quote(p.Issuer)
	*w = append(*w, `,"sub":`...)
	w.quote(p.Subject)
	*w = append(*w, '}')
}

// quote leaves strings that are not plain ASCII to encoding/json.
func (w *rowWriter) quote(s string) {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string has a JSON form always
			*w = append(*w, quoted...)
			return
		}
	}
	*w = append(append(append(*w, '"'), s...), '"')
}

func (w *rowWriter) claims(name string, claims Claims) error {
	if len(claims) == 0 {
		return nil
	}
	w.name(name)
	return w.value(map[string]any(claims))
}

// value writes a claim. Values of other types than those of Claims are left to
// encoding/json.
func (w *rowWriter) value(value any) error {
	switch v := value.(type) {
	case string:
		w.quote(v)
	case int64:
		*w = strconv.AppendInt(*w, v, 10)
	case bool:
		*w = strconv.AppendBool(*w, v)
	case map[string]any:
		sep := byte('{')
		for name, member := range v {
			*w = append(*w, sep)
			sep = ','
			w.quote(name)
			*w = append(*w, ':')
			if err := w.value(member); err != nil {
				return err
			}
		}
		w.shut(sep, '{', '}')
	case []any:
		sep := byte('[')
		for _, item := range v {
			*w = append(*w, sep)
			sep = ','
			if err := w.value(item); err != nil {
				return err
			}
		}
		w.shut(sep, '[', ']')
	default:
		return w.other(v)
	}
	return nil
}

// shut ends an object or array, and begins it where it is empty.
func (w *rowWriter) shut(sep, open, shut byte) {
	if sep == open {
		*w = append(*w, open)
	}
	*w = append(*w, shut)
}

func (w *rowWriter) other(value any) error {
	if f, ok := value.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return fmt.Errorf("a claim is not a number")
	}
	data, err := json.Marshal(value)
	*w = append(*w, data...)
	return err
}
