package httpapi

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestAnAnswerIsWrittenAsTheLibraryDoesIt(t *testing.T) {
	for _, user := range []string{"", "alice", "a\"b\\c", "<&>", "é😀", "\u2028", "\x00", "\xff"} {
		for _, millis := range []int64{0, -1, 600, 1 << 62} {
			answer := createAnswer{user + "1", user, "a.b.c", "d.e.f", "Bearer", millis, "2026-12-22T10:00:00Z", millis > 0}
			var want bytes.Buffer
			encoder := json.NewEncoder(&want)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(&answer); err != nil {
				t.Fatal(err)
			}
			if got := answer.appendJSON(nil); string(got)+"\n" != want.String() {
				t.Errorf("%s, not %s", got, want.String())
			}
		}
	}
}
