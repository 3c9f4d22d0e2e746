package endpoint

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestABodyIsReadWholeWhateverSizeIsExpected(t *testing.T) {
	for _, size := range []int{0, 1, 25, 511, 512, 513, maxExpected, maxExpected + 1, 5 * maxExpected} {
		want := strings.Repeat("x", size)
		for _, expected := range []int64{-1, 0, 1, int64(size) - 1, int64(size), int64(size) + 1, maxExpected} {
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

// A length that somebody only claims costs no memory.
func TestABodyThatDoesNotComeCostsLittle(t *testing.T) {
	got, err := readAll(strings.NewReader("x"), 1<<30)
	if string(got) != "x" || err != nil || cap(got) > 2*maxExpected {
		t.Errorf("%q, %v: %d bytes of memory", got, err, cap(got))
	}
}
