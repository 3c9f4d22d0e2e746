package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
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

func TestABodyIsReadWholeWhateverSizeIsExpected(t *testing.T) {
	for _, size := range []int{0, 1, 25, 511, 512, 513, 4096} {
		want := strings.Repeat("x", size)
		for _, expected := range []int64{-1, 0, 1, int64(size) - 1, int64(size), int64(size) + 1, 4096} {
			for name, from := range map[string]io.Reader{
				"at once": strings.NewReader(want), "byte by byte": iotest.OneByteReader(strings.NewReader(want)),
				"with its end": iotest.DataErrReader(strings.NewReader(want)),
			} {
				if got, err := readAll(from, expected); string(got) != want || err != nil {
					t.Errorf("%d bytes, %d expected, %s: %d bytes, %v", size, expected, name, len(got), err)
				}
			}
		}
	}
	broken := errors.New("broken")
	if got, err := readAll(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), 8); got != nil || !errors.Is(err, broken) {
		t.Errorf("%q, %v", got, err)
	}
}
