//go:build goexperiment.jsonv2

package strictjson

import (
	"bytes"
	"encoding/json/jsontext"
	"errors"
	"io"
	"testing"
)

// valid is what encoding/json/v2 makes of data: it refuses duplicates and bad
// text by default.
func valid(data []byte) bool {
	d := jsontext.NewDecoder(bytes.NewReader(data))
	if _, err := d.ReadValue(); err != nil {
		return false
	}
	_, err := d.ReadToken()
	return errors.Is(err, io.EOF)
}

func TestV2ParserAgrees(t *testing.T) {
	for _, data := range accepted {
		if !valid([]byte(data)) {
			t.Errorf("%q is refused", data)
		}
	}
	for data, want := range refused {
		if valid([]byte(data)) && !errors.Is(want, ErrDepth) {
			t.Errorf("%q is accepted", data)
		}
	}
}

func FuzzCheckAgainstV2(f *testing.F) {
	for _, data := range accepted {
		f.Add([]byte(data))
	}
	for data := range refused {
		if len(data) < 1000 {
			f.Add([]byte(data))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := Check(data, fuzzDepth)
		if errors.Is(err, ErrDepth) {
			return
		}
		if (err == nil) != valid(data) {
			t.Fatalf("%q: %v, v2 says %v", data, err, valid(data))
		}
	})
}
