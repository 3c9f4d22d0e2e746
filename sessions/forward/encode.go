package forward

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"authsidecar/sessions"
)

// Encode returns the value as visible ASCII: bytes outside 0x21 to 0x7E, and "%", are
// percent-encoded.
func Encode(value string) string { return encode(value, "%") }

// encode percent-encodes everything but visible ASCII, and the bytes of also.
func encode(value, also string) string {
	plain := func(c byte) bool { return c > ' ' && c < 0x7f && strings.IndexByte(also, c) < 0 }
	at := 0
	for at < len(value) && plain(value[at]) {
		at++
	}
	if at == len(value) {
		return value
	}
	const digits = "0123456789ABCDEF"
	out := append(make([]byte, 0, len(value)+16), value[:at]...)
	for ; at < len(value); at++ {
		if c := value[at]; plain(c) {
			out = append(out, c)
		} else {
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(out)
}

// render returns a claim as the value of a header; "" if it is absent. The items of an array are
// joined by commas, and commas in text are encoded, so that text cannot pass for a list. Objects
// and nested arrays become JSON.
func render(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = encode(text(item), "%,")
		}
		return strings.Join(items, ",")
	default:
		return encode(text(v), "%,")
	}
}

// text returns a scalar as in JSON, without the quotes of a string.
func text(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	default:
		data, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return string(data)
	}
}

// A Field is a value that an app can be sent: user_id, session_id, actor, actor_issuer,
// is_impersonation, reason, client_id, or else a claim of the token, by name or JSON pointer (RFC
// 6901).
type Field string

// fields are the fields that are not claims.
var fields = map[Field]func(*Who) string{
	"user_id":          func(w *Who) string { return w.UserID },
	"session_id":       func(w *Who) string { return w.SessionID },
	"actor":            func(w *Who) string { return w.Actor.Subject },
	"actor_issuer":     func(w *Who) string { return w.Actor.Issuer },
	"is_impersonation": func(w *Who) string { return strconv.FormatBool(w.Impersonation) },
	"reason":           func(w *Who) string { return w.Reason },
	"client_id":        func(w *Who) string { return w.ClientID },
}

// FieldNames returns the sorted names of the fields that are not claims.
func FieldNames() []string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, string(name))
	}
	slices.Sort(names)
	return names
}

// Claim returns the top-level claim that the field refers to; ok is false if the field is not a
// claim.
func (f Field) Claim() (name string, ok bool) {
	if _, known := fields[f]; known {
		return "", false
	}
	name, nested := strings.CutPrefix(string(f), "/")
	if nested {
		name, _, _ = strings.Cut(name, "/")
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
	}
	return name, true
}

// Value renders the field for a user with these claims; "" if there is no value.
func (f Field) Value(w *Who, claims sessions.Claims) string {
	if value, ok := w.Value(f); ok {
		return Encode(value)
	}
	value, _ := claims.Find(string(f))
	return render(value)
}

// A Who is the identity of a caller as the app sees it.
type Who struct {
	// UserID is the user; "" if the caller is a service and no user.
	UserID    string
	SessionID string
	// Actor is the party that acts for the user, or the service itself.
	Actor         sessions.Principal
	Impersonation bool
	Reason        string
	ClientID      string
}

// Value returns the value of the field, not encoded; ok is false if the field is a claim.
func (w *Who) Value(f Field) (value string, ok bool) {
	get, ok := fields[f]
	if !ok {
		return "", false
	}
	return get(w), true
}

// Of returns who a verified caller is to the app. A subject of another issuer is a user of the app
// only if the issuer's subjects are, and the subject is not a machine.
func Of(c *sessions.Caller) *Who {
	w := &Who{SessionID: c.SessionID, ClientID: c.ClientID, Impersonation: c.Acting}
	switch {
	case c.Own:
		w.UserID, w.Actor = c.Subject, c.Actor
		w.Reason, _ = c.Claims["reason"].(string)
	case c.Acting:
		w.Actor = c.Actor
		if c.IsUser() {
			w.UserID = c.Subject
		}
	case c.IsUser():
		w.UserID = c.Subject
	default:
		w.Actor = c.Principal
	}
	return w
}
