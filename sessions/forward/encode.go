package forward

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"authsidecar/sessions"
)

// Encode returns the value as visible ASCII: bytes outside of 0x21 to 0x7E, and "%",
// are percent-encoded.
func Encode(value string) string { return encode(value, "%") }

// encode percent-encodes what is no visible ASCII, or one of also.
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

// render gives a claim as the value of a header; "" where there is none.
// The items of an array are joined by commas, and no other comma stands there as it is:
// a text cannot pass for a list. What nests in items, and objects, are JSON.
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

// text is a scalar as JSON writes it, but for the quotes of a string.
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

// A Field is a part of what an app can be sent: user_id, session_id, actor,
// actor_issuer, is_impersonation, reason, client_id; any other is the name of a claim
// of the token, or a JSON pointer (RFC 6901) into one.
type Field string

// fields are those that are not claims.
var fields = map[Field]func(*Who) string{
	"user_id":          func(w *Who) string { return w.UserID },
	"session_id":       func(w *Who) string { return w.SessionID },
	"actor":            func(w *Who) string { return w.Actor.Subject },
	"actor_issuer":     func(w *Who) string { return w.Actor.Issuer },
	"is_impersonation": func(w *Who) string { return strconv.FormatBool(w.Impersonation) },
	"reason":           func(w *Who) string { return w.Reason },
	"client_id":        func(w *Who) string { return w.ClientID },
}

// FieldNames returns the names of the fields that are not claims, in their order.
func FieldNames() []string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, string(name))
	}
	slices.Sort(names)
	return names
}

// Claim returns the name of the claim that the field is, or is in; ok is false where it
// is none.
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

// Value renders the field, of somebody with these claims; "" where there is no value.
func (f Field) Value(w *Who, claims sessions.Claims) string {
	if value, ok := w.Value(f); ok {
		return Encode(value)
	}
	value, _ := claims.Find(string(f))
	return render(value)
}

// A Who is who is asking, to the app.
type Who struct {
	// UserID is the user; "" where the caller is a service that is nobody's user.
	UserID    string
	SessionID string
	// Actor is who acts for the user, or the service that calls for itself.
	Actor         sessions.Principal
	Impersonation bool
	Reason        string
	ClientID      string
}

// Value returns what the field says, as it is; ok is false where that is a claim.
func (w *Who) Value(f Field) (value string, ok bool) {
	get, ok := fields[f]
	if !ok {
		return "", false
	}
	return get(w), true
}

// Of says who a verified caller is to the app. The subject of another issuer is a user
// of the app only where the issuer's subjects are, and it is no machine's.
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
