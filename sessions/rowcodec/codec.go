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

// Format is the newest version of a row that this release knows; FormatOf returns the version in
// which a row is written.
const Format = formatCookies

const (
	formatFirst   = 1
	formatCookies = 2 // adds the members of sessions in cookies and of pending ones
	formatCutoff  = 1
)

// FormatOf returns the version in which a session is written: the lowest that can represent it, so
// that an older release leaves only rows alone that it cannot represent.
func FormatOf(s *sessions.Session) int64 {
	if s.Cookies || s.Pending != nil {
		return formatCookies
	}
	return formatFirst
}

// ErrNewer means that a newer release wrote the value, in a version that this one does not know.
var ErrNewer = fmt.Errorf("%w: row written by a newer release", sessions.ErrUnavailable)

// options are the JSON options for reading and writing. Invalid UTF-8 becomes U+FFFD, as in earlier
// releases.
var options = jsontext.AllowInvalidUTF8(true)

// withoutNull refuses null for known members, which we never write. It costs as much as everything
// else, so it is used only for values that may contain one.
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

// unmarshal decodes a value; what names it in the error, which contains nothing of it.
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

// A rowVersion is the version of a row, a cutoffVersion that of a cutoff. Decoding stops at an
// unknown one.
type (
	rowVersion    int64
	cutoffVersion int64
)

// UnmarshalJSONFrom decodes a version, or returns ErrNewer.
func (v *rowVersion) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	n, err := readVersion(d, Format)
	*v = rowVersion(n)
	return err
}

// UnmarshalJSONFrom decodes a version, or returns ErrNewer.
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

// UnmarshalText decodes a blob.
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
