package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"authsidecar/sessions"
)

// fileOf is a file of so many lines, and the longer ones among them.
func fileOf(t *testing.T, lines int) (path string, w *Writer) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "audit.jsonl")
	w, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	for i := range lines {
		r := &Record{Event: "created", Issuer: "https://app.example.com", UserID: fmt.Sprint("user-", i+1), Actor: sessions.Principal{Issuer: "https://idp.example.com", Subject: "carol"}, Reason: strings.Repeat("x", i*37%600), Note: "by the console"}
		if _, err := w.Append(r, false); err != nil {
			t.Fatal(err)
		}
	}
	return path, w
}

// Paging through a file gives each line once, from the newest on, however large the pages are, and
// lines that are written meanwhile are on none of the further pages.
func TestTail_PagesGiveEachLineOnce(t *testing.T) {
	t.Parallel()
	const lines = 700 // several chunks
	for _, size := range []int{1, 7, 50, lines - 1, lines, lines + 1} {
		path, w := fileOf(t, lines)
		var seen []uint64
		var at Place
		for first := true; first || at != (Place{}); first = false {
			n := 0
			next, moved, err := Tail(path, at, 1<<30, func(e *Entry) bool {
				if e.UserID != fmt.Sprint("user-", e.Seq) || e.Actor != "carol" || e.Time.IsZero() || e.Note != "by the console" {
					t.Fatalf("%+v", e)
				}
				seen = append(seen, e.Seq)
				n++
				return n < size
			})
			if err != nil || moved {
				t.Fatal(err, moved)
			}
			at = next
			if _, err := w.Append(&Record{Event: "created", UserID: "later"}, false); err != nil {
				t.Fatal(err)
			}
		}
		slices.Reverse(seen)
		for i := range seen {
			if seen[i] != uint64(i+1) {
				t.Fatalf("pages of %d: line %d is %d", size, i+1, seen[i])
			}
		}
		if len(seen) != lines {
			t.Errorf("pages of %d: %d lines", size, len(seen))
		}
	}
}

// A page reads no more of the file than it is allowed, and says where to go on.
func TestTail_ReadsThatMuchAtMost(t *testing.T) {
	t.Parallel()
	path, _ := fileOf(t, 2000)
	seen := 0
	next, _, err := Tail(path, Place{}, tailChunk, func(*Entry) bool { seen++; return true })
	if err != nil || next == (Place{}) || seen == 0 || seen > 400 {
		t.Errorf("%v %v: %d lines", next, err, seen)
	}
}

// After a rotation a place is of another file: the newest lines come, and it says so. What is no line
// of ours is passed over.
func TestTail_AnotherFileBeginsAtItsEnd(t *testing.T) {
	t.Parallel()
	path, _ := fileOf(t, 100)
	next, _, err := Tail(path, Place{}, 1<<30, func(e *Entry) bool { return e.Seq > 50 })
	if err != nil || next.Seq != 50 {
		t.Fatal(next, err)
	}
	other, w := fileOf(t, 10)
	for _, place := range []Place{next, {Offset: 1, Seq: 1}, {Offset: 1 << 40, Seq: 3}, {Offset: -1, Seq: 3}} {
		newest := uint64(0)
		if _, moved, err := Tail(other, place, 1<<30, func(e *Entry) bool { newest = max(newest, e.Seq); return true }); err != nil || !moved || newest != w.Last().Seq {
			t.Errorf("%v: %v %v %d", place, moved, err, newest)
		}
	}
	if err := os.WriteFile(other, []byte("\n\nno line\n{\"seq\":\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if next, _, err := Tail(other, Place{}, 1<<30, func(e *Entry) bool { t.Error(e); return true }); err != nil || next != (Place{}) {
		t.Error(next, err)
	}
	if _, _, err := Tail(other+"-none", Place{}, 1<<30, func(*Entry) bool { return true }); err == nil {
		t.Error("no error without a file")
	}
}
