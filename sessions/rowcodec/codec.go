package rowcodec

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"authsidecar/sessions"
)

// Format is the newest version of a row that this release knows. FormatOf is the version that
// it writes one in.
const Format = formatCookies

const (
	formatFirst   = 1
	formatCookies = 2 // has the members of sessions whose tokens live in cookies, and of pending ones
	formatCutoff  = 1
)

// FormatOf returns the version that a session is written in: the first one that can say what
// it is, so that a release which does not know that leaves it alone and reads all others.
func FormatOf(s *sessions.Session) int64 {
	if s.Cookies || s.Pending != nil {
		return formatCookies
	}
	return formatFirst
}

// ErrNewer means that a newer release wrote the value, in a version that this one does not
// know.
var ErrNewer = fmt.Errorf("%w: row written by a newer release", sessions.ErrUnavailable)

// options are how values are written and read. What is not UTF-8 is written and read as
// U+FFFD, as earlier releases did.
var options = jsontext.AllowInvalidUTF8(true)

// withoutNull refuses null for whatever we know: we write none. It costs as much as all
// the rest, and so is for values that may have one.
var withoutNull = json.JoinOptions(options, json.WithUnmarshalers(
	json.UnmarshalFromFunc(func(d *jsontext.Decoder, _ any) error {
		if d.PeekKind() == 'n' {
			return errNull
		}
		return errors.ErrUnsupported
	})))

var (
	errNull    = errors.New("a member is null")
	errVersion = errors.New("the version is not a number")
)

// unmarshal reads a value; what names it in the error, which holds nothing of it.
func unmarshal(data []byte, into any, what string) error {
	reading := options
	if bytes.Contains(data, []byte("null")) {
		reading = withoutNull
	}
	switch err := json.Unmarshal(data, into, reading); {
	case errors.Is(err, ErrNewer):
		return ErrNewer
	case err != nil:
		return corrupt(what)
	default:
		return nil
	}
}

func corrupt(what string) error {
	return fmt.Errorf("%w: %s is corrupt", sessions.ErrUnavailable, what)
}

// A rowVersion is that of a row, a cutoffVersion that of a cutoff. Reading stops at one that
// is not known.
type (
	rowVersion    int64
	cutoffVersion int64
)

// UnmarshalJSONFrom reads a version, or is ErrNewer.
func (v *rowVersion) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	n, err := readVersion(d, Format)
	*v = rowVersion(n)
	return err
}

// UnmarshalJSONFrom reads a version, or is ErrNewer.
func (v *cutoffVersion) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	n, err := readVersion(d, formatCutoff)
	*v = cutoffVersion(n)
	return err
}

func readVersion(d *jsontext.Decoder, newest int64) (int64, error) {
	token, err := d.ReadToken()
	if err != nil {
		return 0, err
	}
	if token.Kind() != jsontext.KindNumber {
		return 0, errVersion
	}
	n, err := token.Int()
	if err == nil && n > newest {
		err = ErrNewer
	}
	return n, err
}

// A blob is base64url without padding.
type blob []byte

// UnmarshalText reads the text of a blob.
func (b *blob) UnmarshalText(text []byte) (err error) {
	if len(text) > 0 {
		*b, err = base64.RawURLEncoding.AppendDecode(nil, text)
	}
	return err
}

// fill copies the blob and reports whether it has the right length.
func (b blob) fill(secret *[sessions.SecretSize]byte) bool {
	return copy(secret[:], b) == len(secret) && len(b) == len(secret)
}
