package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
)

func eventOf(n int) *Record {
	return RecordOf(&sessions.Event{
		Kind: event.Created, IP: "192.0.2.1",
		Session: &sessions.Session{
			Realm: "https://app.example.com", ID: fmt.Sprintf("session-%d", n), UserID: "alice", Impersonation: true,
			Actor: sessions.Principal{Issuer: "https://idp.example.com", Subject: "carol"}, Reason: "ticket", Rule: "scope x",
		},
	})
}

func mustOpen(t testing.TB, path string) *Writer {
	t.Helper()
	w, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func mustAppend(t testing.TB, w *Writer, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if _, err := w.Append(eventOf(n), false); err != nil {
			t.Fatal(err)
		}
	}
}

// written returns a path with n lines, and the lines.
func written(t testing.TB, n int) (path string, lines []string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "audit.jsonl")
	w := mustOpen(t, path)
	mustAppend(t, w, 0, n)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	lines = strings.SplitAfter(read(t, path), "\n")
	return path, lines[:len(lines)-1]
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func verify(texts ...string) (*Chain, error) {
	c := new(Chain)
	for _, text := range texts {
		if err := c.Read(strings.NewReader(text)); err != nil {
			return c, err
		}
	}
	return c, nil
}

// wantGood asserts that the files are one chain of so many lines.
func wantGood(t *testing.T, lines int, texts ...string) {
	t.Helper()
	c, err := verify(texts...)
	if err != nil || c.Lines != lines {
		t.Fatalf("%d lines, %v; want %d\n%s", c.Lines, err, lines, strings.Join(texts, "--\n"))
	}
}

// wantFlaw asserts that the chain is broken in that line.
func wantFlaw(t *testing.T, text string, line int, what string) {
	t.Helper()
	_, err := verify(text)
	var f *Flaw
	if !errors.As(err, &f) {
		t.Fatalf("%v, want a flaw in line %d", err, line)
	}
	if f.Line != line || !strings.Contains(f.What, what) {
		t.Errorf("%v, want line %d: ... %s", f, line, what)
	}
}

func TestWriter_WritesWhoAsWhomWhyAndWhence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	at := time.Date(2026, 11, 22, 10, 0, 0, 5e6, time.UTC)
	w, err := Open(Options{Path: path, Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Append(eventOf(1), true); err != nil {
		t.Fatal(err)
	}
	last := w.Last()
	want := `{"seq":1,"time":"2026-11-22T10:00:00.005Z","event":"created","issuer":"https://app.example.com","session_id":"session-1",` +
		`"user_id":"alice","is_impersonation":true,"actor":"carol","actor_issuer":"https://idp.example.com","rule":"scope x","reason":"ticket",` +
		`"client_ip":"192.0.2.1","prev":"` + strings.Repeat("0", 64) + `","sha256":"` + last.Hash.String() + "\"}\n"
	if got := read(t, path); got != want {
		t.Errorf("wrote\n%swant\n%s", got, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: want it for the owner alone", info.Mode(), err)
	}
}

// L2: whatever a caller says, a record is one line.
func TestL2_ValuesAreEncoded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	w := mustOpen(t, path)
	for _, evil := range []string{"a\nb", "\x1b[2J", `","sha256":"` + strings.Repeat("0", 64) + `"}`, "\xff\u2028", "\x00", strings.Repeat("\x01", 5000)} {
		r := eventOf(1)
		r.UserID, r.Reason = evil, evil
		if _, err := w.Append(r, false); err != nil {
			t.Errorf("%q: %v", evil, err)
		}
	}
	if got := read(t, path); strings.Count(got, "\n") != 6 || strings.ContainsAny(got, "\x1b\x00") {
		t.Errorf("wrote %q", got)
	}
	wantGood(t, 6, read(t, path))
}

// L1: what a caller says may be a token, or a part of one.
func TestL1_TokensAreMasked(t *testing.T) {
	const token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlIHRoYXQgaXMgbG9uZw"
	for text, want := range map[string]string{
		token:                   "[token]",
		"my " + token + " here": "my [token] here",
		token[:len(token)-30]:   "[token]",
		token[:30]:              "[token]",
		"/x/" + token + "/y":    "/x/[token]/y",
		"eyJ":                   "eyJ",
		"alice":                 "alice",
	} {
		hasClaims := strings.Contains(text, ".")
		for _, f := range (&Record{UserID: text, Actor: sessions.Principal{Subject: text}, ClientID: text, By: sessions.Principal{Subject: text}}).Fields() {
			if hasClaims && f.Name != "is_impersonation" && withoutHashes(t, f.Value) != want {
				t.Errorf("%s %q is written %q, want %q", f.Name, text, f.Value, want)
			}
		}
		for _, f := range (&Record{Reason: text, Error: text, Path: text, Note: text}).Fields() {
			if withoutHashes(t, f.Value) != want {
				t.Errorf("%s %q is written %q, want %q", f.Name, text, f.Value, want)
			}
		}
	}
}

// Whoever makes a text long stays in the audit, and so does what they did: both ends of it.
func TestRecord_NothingIsTooLongToBeWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	w := mustOpen(t, path)
	for _, filler := range []string{"/.", "&", "\x00", "\xff", "\u2028"} {
		long := "/begin" + strings.Repeat(filler, 1<<20/len(filler)) + "/account/delete"
		who := sessions.Principal{Issuer: long, Subject: long}
		_, err := w.Append(&Record{
			Event: EventActed, Issuer: long, SessionID: long, UserID: long, Actor: who, ClientID: long, Rule: long, Reason: long,
			EndReason: long, ClientIP: long, By: who, Method: long, Path: long, Status: 200, Error: long, Note: long,
		}, false)
		if err != nil {
			t.Errorf("%q: %v", filler, err)
		}
	}
	text := read(t, path)
	if c, err := verify(text); err != nil || c.Lines != 5 {
		t.Fatalf("%d lines, %v", c.Lines, err)
	}
	if strings.Count(text, `"path":"/begin`) != 5 || strings.Count(text, `/account/delete","status":200`) != 5 {
		t.Error("the ends of the path are not in the audit")
	}
	a, b := "/a"+strings.Repeat("x", 5000)+"/z", "/a"+strings.Repeat("x", 2500)+"y"+strings.Repeat("x", 2499)+"/z"
	if shorten(a) == shorten(b) || len(shorten(a)) > maxText || shorten(a[:maxText]) != a[:maxText] {
		t.Errorf("%s, %s", shorten(a), shorten(b))
	}
}

var hashes = regexp.MustCompile(` sha256:[0-9a-f]{32}\]`)

func withoutHashes(t *testing.T, value any) string {
	t.Helper()
	text, ok := value.(string)
	if !ok {
		t.Fatalf("%v is no text", value)
	}
	return hashes.ReplaceAllString(text, "]")
}

// Who chooses their name, or that of a document, does not choose to stay out of the audit.
func TestMask_NobodyHidesBehindANameLikeAToken(t *testing.T) {
	signed := func(name string) string {
		return "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9." + strings.Repeat(name, 22)
	}
	for _, name := range []string{"eyJabcdefghij", "eyJhbGciOiJFUzI1NiJ9", "eyJones.the.baker", "x-eyJabcdefghij@example.com"} {
		r := Record{
			UserID: name, Actor: sessions.Principal{Issuer: name, Subject: name}, ClientID: name, SessionID: name, Issuer: name,
			By: sessions.Principal{Issuer: name, Subject: name}, Rule: name,
		}
		for _, f := range r.Fields() {
			if f.Name != "is_impersonation" && f.Value != name {
				t.Errorf("%s %q is written %q", f.Name, name, f.Value)
			}
		}
	}
	if MaskIdentity(signed("a")) == MaskIdentity(signed("b")) || Mask("/docs/eyJabcdefghij") == Mask("/docs/eyJklmnopqrst") {
		t.Error("two are written as one")
	}
}

func TestChain_FindsAnyByteThatWasChanged(t *testing.T) {
	_, lines := written(t, 4)
	text := strings.Join(lines, "")
	for at := range len(text) {
		for _, flip := range []byte{0x01, 0x20} {
			changed := []byte(text)
			changed[at] ^= flip
			if _, err := verify(string(changed)); err == nil {
				t.Fatalf("byte %d changed to %q, and nobody saw it", at, changed[at])
			}
		}
	}
}

func TestChain_FindsWhatWasRemovedSwappedAddedOrCut(t *testing.T) {
	_, l := written(t, 6)
	all := func(lines ...string) string { return strings.Join(lines, "") }
	other := strings.Replace(l[2], "session-2", "session-9", 1)
	tests := []struct {
		name string
		text string
		line int
		what string
	}{
		{"a line in the middle removed", all(l[0], l[1], l[3], l[4], l[5]), 3, "removed"},
		{"several removed", all(l[0], l[4], l[5]), 2, "number 5 and follows number 1"},
		{"the first removed", all(l[1:]...), 1, "cut at its beginning"},
		{"two neighbours swapped", all(l[0], l[2], l[1], l[3]), 2, "removed"},
		{"the last two swapped", all(l[0], l[1], l[2], l[3], l[5], l[4]), 5, "removed"},
		{"a line twice", all(l[0], l[0], l[1]), 2, "repeated"},
		{"a line changed", all(l[0], l[1], other, l[3]), 3, "was changed"},
		{"a line changed, and its hash mended", all(l[0], l[1], resealed(other), l[3]), 4, "not written after"},
		{"a line made up", all(l[0], l[1], "{}\n", l[2]), 3, "was changed"},
		{"an empty line", all(l[0], "\n", l[1]), 2, "was changed"},
		{"cut within the last line", strings.TrimSuffix(all(l...), "}\n"), 6, "cut short"},
		{"without the last newline", strings.TrimSuffix(all(l...), "\n"), 6, "cut short"},
		{"a line without end", strings.Repeat("x", 3*maxLine), 1, "longer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantFlaw(t, tt.text, tt.line, tt.what) })
	}
	wantGood(t, 6, all(l...))
	wantGood(t, 0, "")
}

// resealed gives a line that was changed the hash that it has now.
func resealed(text string) string {
	body, _, _ := strings.Cut(text, hashMember)
	return body + hashMember + hashOf([]byte(body)).String() + "\"}\n"
}

// Whole lines that are cut off at the end leave a good chain. Who knows a later line
// finds out.
func TestChain_FindsACutEndByItsHead(t *testing.T) {
	path, lines := written(t, 5)
	w := mustOpen(t, path)
	head := w.Last().Hash.String()
	for cut := range lines {
		c := new(Chain)
		if err := c.Expect(head); err != nil {
			t.Fatal(err)
		}
		if err := c.Read(strings.NewReader(strings.Join(lines[:cut], ""))); err != nil {
			t.Fatal(err)
		}
		if missing := c.Missing(); len(missing) != 1 || missing[0] != head {
			t.Errorf("%d lines: missing %v", cut, missing)
		}
	}
	c := new(Chain)
	_ = c.Expect(head)
	if err := c.Read(strings.NewReader(strings.Join(lines, ""))); err != nil || len(c.Missing()) != 0 {
		t.Errorf("%v, missing %v", err, c.Missing())
	}
	if c.Expect("abc") == nil || c.Expect(strings.Repeat("x", 64)) == nil {
		t.Error("what is no hash was taken for one")
	}
}

func TestWriter_GoesOnAfterARestart(t *testing.T) {
	path, _ := written(t, 3)
	w := mustOpen(t, path)
	mustAppend(t, w, 3, 5)
	wantGood(t, 5, read(t, path))
}

// After a crash the file ends anywhere in its last line.
func TestWriter_RemovesATornLine(t *testing.T) {
	_, lines := written(t, 3)
	for _, tail := range []string{lines[2][:1], lines[2][:len(lines[2])/2], lines[2][:len(lines[2])-1], "\x00\x00\x00"} {
		for _, before := range []string{"", lines[0], lines[0] + lines[1]} {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			if err := os.WriteFile(path, []byte(before+tail), 0o600); err != nil {
				t.Fatal(err)
			}
			w := mustOpen(t, path)
			mustAppend(t, w, 0, 1)
			got := read(t, path)
			wantGood(t, strings.Count(before, "\n")+2, got)
			if !strings.Contains(got, fmt.Sprintf(`"event":"recovered","note":"a torn line of %d bytes was removed"`, len(tail))) {
				t.Errorf("no word of it:\n%s", got)
			}
		}
	}
}

func TestWriter_RefusesAFileThatIsNotItsOwn(t *testing.T) {
	_, lines := written(t, 2)
	for name, text := range map[string]string{
		"another's":           "127.0.0.1 GET /\n",
		"a changed last line": lines[0] + strings.Replace(lines[1], "alice", "bobby", 1),
		"one endless line":    strings.Repeat("x", 4*maxLine),
	} {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if w, err := Open(Options{Path: path}); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v, %v", name, w, err)
		}
		if read(t, path) != text {
			t.Errorf("%s: it was written to", name)
		}
	}
	if _, err := Open(Options{Path: t.TempDir()}); err == nil {
		t.Error("a directory was opened")
	}
	if _, err := Open(Options{Path: os.DevNull}); err == nil {
		t.Error("a device was opened")
	}
}

func TestWriter_IsAloneWithItsFile(t *testing.T) {
	path, _ := written(t, 1)
	w := mustOpen(t, path)
	if _, err := Open(Options{Path: path}); !errors.Is(err, ErrInUse) {
		t.Errorf("a second writer: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Append(eventOf(1), false); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := w.Sync(); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	mustOpen(t, path)
}

// An operator moves the file away, or copies and empties it: the chain goes on.
func TestWriter_FollowsARotation(t *testing.T) {
	move := func(path string) error { return os.Rename(path, path+".1") }
	empty := func(path string) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return errors.Join(os.WriteFile(path+".1", data, 0o600), os.Truncate(path, 0))
	}
	next := map[string]func(*testing.T, *Writer, string) *Writer{
		"by the next line":  func(_ *testing.T, w *Writer, _ string) *Writer { return w },
		"by the next sync":  func(t *testing.T, w *Writer, path string) *Writer { return restarted(t, w, path, w.Sync) },
		"when it is closed": func(t *testing.T, w *Writer, path string) *Writer { return restarted(t, w, path, w.Close) },
	}
	for how, rotate := range map[string]func(string) error{"moved": move, "emptied": empty} {
		for when, goOn := range next {
			t.Run(how+" and followed "+when, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "audit.jsonl")
				w := mustOpen(t, path)
				mustAppend(t, w, 0, 3)
				if err := rotate(path); err != nil {
					t.Fatal(err)
				}
				w = goOn(t, w, path)
				mustAppend(t, w, 3, 5)
				first, second := read(t, path+".1"), read(t, path)
				wantGood(t, 6, first, second)
				wantGood(t, 3, second) // by itself it says where it begins
				if c, _ := verify(second); c.Begins.Seq != 4 {
					t.Errorf("begins at %d", c.Begins.Seq)
				}
				if _, err := verify(second, first); err == nil {
					t.Error("files in the wrong order are a chain")
				}
				lines := strings.SplitAfter(first, "\n")
				if _, err := verify(lines[0]+lines[1], second); err == nil {
					t.Error("the first file lost its last line, and nobody saw it")
				}
			})
		}
	}
}

func restarted(t *testing.T, w *Writer, path string, do func() error) *Writer {
	t.Helper()
	if err := do(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return mustOpen(t, path)
}

// What somebody cuts off while the file is written shows.
func TestWriter_TellsThatLinesAreGone(t *testing.T) {
	path, lines := written(t, 3)
	w := mustOpen(t, path)
	if err := os.Truncate(path, int64(len(lines[0]))); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, w, 3, 4)
	got := read(t, path)
	if !strings.Contains(got, "the file ended in line 1, and line 3 was written last") {
		t.Errorf("no word of it:\n%s", got)
	}
	wantGood(t, 3, got)
}

// A faulty file is a file whose disk fails as the test says.
type faulty struct {
	*os.File
	room   *atomic.Int64 // bytes that the disk has left
	broken *atomic.Bool  // fsync fails
	syncs  *atomic.Int64
	gate   chan struct{} // fsync waits for it, where it is not nil
}

func (f *faulty) Write(p []byte) (int, error) {
	left := max(0, min(f.room.Load(), int64(len(p))))
	f.room.Add(-left)
	n, err := f.File.Write(p[:left])
	if err == nil && n < len(p) {
		err = errors.New("no space left on device")
	}
	return n, err
}

func (f *faulty) Sync() error {
	f.syncs.Add(1)
	if f.gate != nil {
		<-f.gate
	}
	if f.broken.Load() {
		return errors.New("input/output error")
	}
	return nil
}

// openFaulty opens a writer on a disk that has room for so many bytes.
func openFaulty(t *testing.T, room int64, gate chan struct{}) (w *Writer, path string, disk *faulty) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "audit.jsonl")
	disk = &faulty{room: new(atomic.Int64), broken: new(atomic.Bool), syncs: new(atomic.Int64), gate: gate}
	disk.room.Store(room)
	w, err := open(Options{Path: path}, func(path string) (file, error) {
		f, err := openFile(path)
		if err != nil {
			return nil, err
		}
		made := *disk
		made.File = f.(*os.File)
		return &made, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return w, path, disk
}

// A disk that is full takes nothing, and when it has room again the chain goes on,
// whatever part of a line it took.
func TestWriter_OutlivesAFullDisk(t *testing.T) {
	for room := range int64(400) {
		w, path, disk := openFaulty(t, 1000+room, nil)
		acked := 0
		for {
			if _, err := w.Append(eventOf(acked), true); err != nil {
				break
			}
			acked++
		}
		if _, err := w.Append(eventOf(99), true); err == nil {
			t.Fatal("a full disk took a line")
		}
		disk.room.Store(1 << 20)
		mustAppend(t, w, acked, acked+2)
		got := read(t, path)
		if _, err := verify(got); err != nil {
			t.Fatalf("room for %d: %v\n%s", room, err, got)
		}
		for n := range acked + 2 {
			if !strings.Contains(got, fmt.Sprintf(`"session-%d"`, n)) {
				t.Fatalf("room for %d: line of session %d is lost", room, n)
			}
		}
		if strings.Contains(got, `"session-99"`) {
			t.Fatal("a line was refused, and is there")
		}
		_ = w.Close()
	}
}

func TestWriter_RefusesWhatIsNotDurable(t *testing.T) {
	w, path, disk := openFaulty(t, 1<<20, nil)
	disk.broken.Store(true)
	if _, err := w.Append(eventOf(1), true); err == nil {
		t.Error("a line that is not durable was acknowledged")
	}
	if _, err := w.Append(eventOf(2), false); err != nil {
		t.Errorf("a line that need not be: %v", err)
	}
	if err := w.Sync(); err == nil {
		t.Error("a sync that failed did not")
	}
	disk.broken.Store(false)
	if _, err := w.Append(eventOf(3), true); err != nil {
		t.Error(err)
	}
	wantGood(t, 3, read(t, path))
}

// Who comes while one waits for the disk is served by the next fsync, all together.
func TestWriter_SyncsInGroups(t *testing.T) {
	const many = 50
	gate := make(chan struct{})
	w, path, disk := openFaulty(t, 1<<20, gate)
	var group sync.WaitGroup
	var acked atomic.Int64
	for n := range many {
		group.Go(func() {
			if _, err := w.Append(eventOf(n), true); err != nil {
				t.Error(err)
			}
			acked.Add(1)
		})
	}
	for deadline := time.Now().Add(30 * time.Second); strings.Count(read(t, path), "\n") < many; {
		if time.Now().After(deadline) {
			t.Fatal("the lines are not written")
		}
	}
	if acked.Load() != 0 {
		t.Error("somebody did not wait for the disk")
	}
	close(gate)
	group.Wait()
	if n := disk.syncs.Load(); n > 2 {
		t.Errorf("%d lines took %d syncs, want 2", many, n)
	}
	wantGood(t, many, read(t, path))
}

func FuzzChain(f *testing.F) {
	_, lines := written(f, 3)
	f.Add([]byte(strings.Join(lines, "")))
	f.Add([]byte(lines[0]))
	f.Add([]byte("{\"seq\":1}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := new(Chain)
		if c.Read(bytes.NewReader(data)) != nil {
			return
		}
		if c.Lines != bytes.Count(data, []byte("\n")) {
			t.Errorf("%d lines of %d", c.Lines, bytes.Count(data, []byte("\n")))
		}
		if again := new(Chain); again.Read(bytes.NewReader(append(data, 'x'))) == nil {
			t.Error("what was added is good")
		}
	})
}

// BenchmarkAppend measures what a line costs a request that does not wait for the disk.
func BenchmarkAppend(b *testing.B) {
	w := mustOpen(b, filepath.Join(b.TempDir(), "audit.jsonl"))
	r := eventOf(1)
	for b.Loop() {
		if _, err := w.Append(r, false); err != nil {
			b.Fatal(err)
		}
	}
}

// What was handed over by a link is recorded when it was made, and when it was opened.
func TestRecordOf_SaysThatASessionIsPending(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	s := &sessions.Session{ID: "s", ExpiresAt: at.Add(time.Minute), RotatedAt: at, Idle: time.Hour, Pending: &sessions.Pending{Life: time.Hour, ReturnTo: "/orders"}}
	if r := RecordOf(&sessions.Event{Kind: event.Created, Session: s}); r.Event != "created" || r.Note != "pending until 2026-11-22T10:01:00.000Z" {
		t.Errorf("%s, %q", r.Event, r.Note)
	}
	s.Pending = nil
	by := sessions.Principal{Issuer: "https://idp.example.com", Subject: "carol"}
	if r := RecordOf(&sessions.Event{Kind: event.Opened, Session: s, IP: "192.0.2.1", By: by}); r.Event != "opened" || r.Note != "" || r.ClientIP != "192.0.2.1" || r.By != by {
		t.Errorf("%+v", r)
	}
}
