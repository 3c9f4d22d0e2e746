package sessions

import (
	"encoding/base64"
	"testing"
)

// An id is no option of a command, whatever the bits are that it is made of.
func TestIDsBeginWithALetterOrADigit(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for first := range 256 {
		raw := make([]byte, 16)
		raw[0] = byte(first)
		id := encodeID(raw)
		if id[0] == '-' || id[0] == '_' {
			t.Errorf("%#x makes %s", first, id)
		}
		if back, err := base64.RawURLEncoding.DecodeString(id); err != nil || len(back) != 16 {
			t.Errorf("%s: %v", id, err)
		}
		seen[id] = true
	}
	if len(seen) != 256-8 { // a 32nd of them falls on others
		t.Errorf("256 bytes make %d ids", len(seen))
	}
}
