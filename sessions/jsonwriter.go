package sessions

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"authsidecar/sessions/strictjson"
)

// A jsonWriter appends members to a JSON object, as encoding/json writes them where
// it does not escape HTML.
type jsonWriter []byte

// name writes a name of ours, which is plain, and all that stands before its value.
func (w *jsonWriter) name(name string) {
	if (*w)[len(*w)-1] != '{' {
		*w = append(*w, ',')
	}
	*w = append(append(append(*w, '"'), name...), `":`...)
}

func (w *jsonWriter) int(name string, n int64) {
	w.name(name)
	*w = strconv.AppendInt(*w, n, 10)
}

func (w *jsonWriter) uint(name string, n uint64) {
	w.name(name)
	*w = strconv.AppendUint(*w, n, 10)
}

func (w *jsonWriter) bytes(name string, b []byte) {
	w.name(name)
	*w = append(base64.RawURLEncoding.AppendEncode(append(*w, '"'), b), '"')
}

func (w *jsonWriter) text(name, s string) {
	w.name(name)
	w.quote(s)
}

func (w *jsonWriter) optional(name, s string) {
	if s != "" {
		w.text(name, s)
	}
}

func (w *jsonWriter) quote(s string) { *w = strictjson.AppendQuoted(*w, s) }

func (w *jsonWriter) claims(name string, claims Claims) error {
	if len(claims) == 0 {
		return nil
	}
	w.name(name)
	return w.value(map[string]any(claims))
}

// value writes a claim. Values of other types than those of Claims are left to
// encoding/json.
func (w *jsonWriter) value(value any) error {
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
func (w *jsonWriter) shut(sep, open, shut byte) {
	if sep == open {
		*w = append(*w, open)
	}
	*w = append(*w, shut)
}

func (w *jsonWriter) other(value any) error {
	if f, ok := value.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return fmt.Errorf("a claim is not a number")
	}
	data, err := json.Marshal(value)
	*w = append(*w, data...)
	return err
}
