package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// An Entry is a line that was read from a file: see Record.
type Entry struct {
	Seq           uint64    `json:"seq"`
	Time          time.Time `json:"time"`
	Event         string    `json:"event"`
	Issuer        string    `json:"issuer"`
	SessionID     string    `json:"session_id"`
	UserID        string    `json:"user_id"`
	Impersonation bool      `json:"is_impersonation"`
	Actor         string    `json:"actor"`
	ActorIssuer   string    `json:"actor_issuer"`
	ClientID      string    `json:"client_id"`
	Rule          string    `json:"rule"`
	Reason        string    `json:"reason"`
	EndReason     string    `json:"end_reason"`
	ClientIP      string    `json:"client_ip"`
	By            string    `json:"by"`
	ByIssuer      string    `json:"by_issuer"`
	JTI           string    `json:"jti"`
	Method        string    `json:"method"`
	Path          string    `json:"path"`
	Status        int       `json:"status"`
	Error         string    `json:"error"`
	Note          string    `json:"note"`
}

// A Place is where Tail continues: before the byte Offset, at which line Seq begins. The zero Place
// is the end of the file.
type Place struct {
	Offset int64
	Seq    uint64
}

// tailChunk is how much of a file Tail reads at a time.
const tailChunk = 64 << 10

// Tail reads the lines of a file from newer to older, beginning before a place, until visit returns
// false or about most bytes have been read. It returns the place to continue at, which is zero at
// the beginning of the file. moved reports that the place belongs to another file, for example
// after a rotation; Tail then began at the end. It does not verify anything (see Chain), and does
// not lock the file, which may be written meanwhile.
func Tail(path string, before Place, most int64, visit func(*Entry) (more bool)) (next Place, moved bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return next, false, fmt.Errorf("reading audit file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return next, false, fmt.Errorf("reading audit file: %w", err)
	}
	end := info.Size()
	if before != (Place{}) {
		if at, ok := seqAt(f, before.Offset, end); ok && at == before.Seq {
			end = before.Offset
		} else {
			moved = true
		}
	}
	next, err = tail(f, end, most, visit)
	return next, moved, err
}

// seqAt returns the number of the line that begins at an offset.
func seqAt(f io.ReaderAt, offset, end int64) (seq uint64, ok bool) {
	if offset <= 0 || offset >= end {
		return 0, false
	}
	line := make([]byte, min(maxLine, end-offset+1))
	if _, err := f.ReadAt(line, offset-1); err != nil && !errors.Is(err, io.EOF) {
		return 0, false
	}
	at := bytes.IndexByte(line[1:], '\n')
	if line[0] != '\n' || at < 0 {
		return 0, false
	}
	e, ok := entryOf(line[1 : at+1])
	if !ok {
		return 0, false
	}
	return e.Seq, true
}

// tail reads backward from end.
func tail(f io.ReaderAt, end, most int64, visit func(*Entry) bool) (next Place, err error) {
	var rest []byte // of a line that begins in an earlier chunk
	for low := end; low > 0; {
		size := min(low, tailChunk)
		chunk := make([]byte, size, size+int64(len(rest)))
		if _, err := f.ReadAt(chunk, low-size); err != nil {
			return next, fmt.Errorf("reading audit file: %w", err)
		}
		low -= size
		chunk = append(chunk, rest...)
		for {
			chunk = bytes.TrimSuffix(chunk, []byte("\n"))
			at := bytes.LastIndexByte(chunk, '\n')
			if at < 0 && low > 0 {
				break
			}
			e, ok := entryOf(chunk[at+1:])
			if ok {
				next = Place{low + int64(at) + 1, e.Seq}
			}
			if ok && !visit(e) && at >= 0 {
				return next, nil
			}
			if at < 0 {
				return Place{}, nil
			}
			chunk = chunk[:at+1]
		}
		if rest = chunk; len(rest) > maxLine {
			return Place{}, nil // not a file of ours
		}
		if end-low >= most && next != (Place{}) {
			return next, nil
		}
	}
	return Place{}, nil
}

// entryOf parses a line. ok is false for anything else, such as a line that is still being written.
func entryOf(line []byte) (e *Entry, ok bool) {
	ok = json.Unmarshal(line, &e) == nil && e != nil && e.Seq > 0
	return e, ok
}
