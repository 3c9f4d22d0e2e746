package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A Hash is the SHA-256 of a line up to the member that contains it.
type Hash [sha256.Size]byte

// String returns the hash as 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

func hashOf(data []byte) Hash { return sha256.Sum256(data) }

// A Position identifies a line of a chain: its number, from 1, and its hash. The zero Position is
// before the first line.
type Position struct {
	Seq  uint64
	Hash Hash
}

// hashMember is the beginning of the last member of a line.
const hashMember = `,"sha256":"`

// maxLine is the maximum size of a line, in bytes.
const maxLine = 64 << 10

// A Flaw is a place where a chain is broken.
type Flaw struct { //nolint:errname // describes a file
	Line int // within its file, from 1
	What string
}

// Error returns what is wrong, and where.
func (f *Flaw) Error() string { return fmt.Sprintf("line %d: %s", f.Line, f.What) }

// A Chain verifies files in the order in which they were written. The zero value is ready for the
// first file. Do not read further after a flaw.
type Chain struct {
	// Begins is the first line that was read, and Last the last.
	Begins, Last Position
	// Lines is the number of lines that were read.
	Lines int

	heads map[Hash]bool // expected heads, and whether they were found
}

// Expect adds the hash of a line that must be among those that are read.
func (c *Chain) Expect(head string) error {
	var h Hash
	if n, err := hex.Decode(h[:], []byte(head)); err != nil || n != len(h) || len(head) != 2*len(h) {
		return errors.New("a head is 64 hexadecimal digits, as the log has them")
	}
	if c.heads == nil {
		c.heads = make(map[Hash]bool)
	}
	c.heads[h] = false
	return nil
}

// Missing returns the expected heads that were not found.
func (c *Chain) Missing() (heads []string) {
	for head, met := range c.heads {
		if !met {
			heads = append(heads, head.String())
		}
	}
	return heads
}

// Read verifies a file, which must continue where the previous one ended. The error is a *Flaw, or
// that of the reader.
func (c *Chain) Read(r io.Reader) error {
	lines := bufio.NewReaderSize(r, maxLine)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil
		case errors.Is(err, io.EOF):
			return &Flaw{n, "is cut short: the file was truncated, or a crash left it so"}
		case errors.Is(err, bufio.ErrBufferFull):
			return &Flaw{n, "is longer than any that is written"}
		case err != nil:
			return fmt.Errorf("reading line %d: %w", n, err)
		}
		if what := c.next(line[:len(line)-1]); what != "" {
			return &Flaw{n, what}
		}
	}
}

// next processes the next line; what describes what is wrong with it, or is "".
func (c *Chain) next(data []byte) (what string) {
	l, ok := parseLine(data)
	if !ok {
		return "was changed: it does not match its own hash"
	}
	switch {
	case c.Lines == 0 && l.at.Seq > 1 && l.event != EventRotated:
		return fmt.Sprintf("is number %d, and none before it is here: the file was cut at its beginning", l.at.Seq)
	case c.Lines == 0:
		c.Begins = l.at
	case l.at.Seq > c.Last.Seq+1:
		return fmt.Sprintf("is number %d and follows number %d: what was between them was removed", l.at.Seq, c.Last.Seq)
	case l.at.Seq <= c.Last.Seq:
		return fmt.Sprintf("is number %d and follows number %d: it was swapped, repeated or made up", l.at.Seq, c.Last.Seq)
	case l.prev != c.Last.Hash:
		return "was not written after the line before it: one of the two was replaced"
	}
	if l.at.Seq == 1 && l.prev != (Hash{}) {
		return "is the first, and says that another was before it"
	}
	c.Lines++
	c.Last = l.at
	if _, expected := c.heads[l.at.Hash]; expected {
		c.heads[l.at.Hash] = true
	}
	return ""
}

// A line is the part of a line that links it into its chain.
type line struct {
	at    Position
	prev  Hash
	event string
}

// parseLine parses a line without its newline. ok reports whether it is complete and matches its
// own hash.
func parseLine(data []byte) (l line, ok bool) {
	split := bytes.LastIndex(data, []byte(hashMember))
	if split < 0 {
		return l, false
	}
	body, tail := data[:split], data[split+len(hashMember):]
	l.at.Hash = hashOf(body)
	if string(tail) != l.at.Hash.String()+`"}` {
		return l, false
	}
	var members struct {
		Seq   uint64 `json:"seq"`
		Event string `json:"event"`
		Prev  string `json:"prev"`
	}
	if json.Unmarshal(append(bytes.Clone(body), '}'), &members) != nil || members.Seq == 0 {
		return l, false
	}
	n, err := hex.Decode(l.prev[:], []byte(members.Prev[:min(len(members.Prev), 2*len(l.prev))]))
	l.at.Seq, l.event = members.Seq, members.Event
	return l, err == nil && n == len(l.prev) && members.Prev == l.prev.String()
}
