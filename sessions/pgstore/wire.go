package pgstore

import (
	"encoding/binary"
	"time"

	"authsidecar/sessions/internal/calls"
)

// args are the arguments of a statement, $1 first: bytea, bigint, boolean and some text.
type args []any

// bytes adds bytes, never NULL.
func (a *args) bytes(b []byte) *args {
	if b == nil {
		b = []byte{}
	}
	*a = append(*a, b)
	return a
}

// maybeText adds bytes; "" becomes NULL.
func (a *args) maybeText(s string) *args {
	if s == "" {
		return a.null()
	}
	return a.text(s)
}

// string adds a text, which must not contain NUL.
func (a *args) string(s string) *args { *a = append(*a, s); return a }
func (a *args) text(s string) *args   { return a.bytes([]byte(s)) }
func (a *args) int(n int64) *args     { *a = append(*a, n); return a }
func (a *args) bool(b bool) *args     { *a = append(*a, b); return a }
func (a *args) null() *args           { *a = append(*a, nil); return a }

// texts adds an array of bytes.
func (a *args) texts(all []string) *args {
	array := make([][]byte, len(all))
	for i, s := range all {
		array[i] = []byte(s)
	}
	*a = append(*a, array)
	return a
}

// A reader reads the columns of a row from left to right. If a column cannot be read, the rest is
// zero and there is an error at the end.
type reader struct {
	values [][]byte
	asked  time.Duration // when the statement was sent, by Clock.Passed
	err    error
}

func (r *reader) next() []byte {
	if len(r.values) == 0 {
		r.err = calls.ErrCorrupt
		return nil
	}
	value := r.values[0]
	r.values = r.values[1:]
	return value
}

func (r *reader) text() string { return string(r.next()) }

// int reads a bigint; NULL is an error.
func (r *reader) int() int64 {
	n, ok := r.maybe()
	if !ok {
		r.err = calls.ErrCorrupt
	}
	return n
}

// maybe reads a bigint that may be NULL.
func (r *reader) maybe() (n int64, ok bool) {
	value := r.next()
	if value == nil {
		return 0, false
	}
	if len(value) != 8 {
		r.err = calls.ErrCorrupt
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(value)), true
}

func (r *reader) bool() bool {
	value := r.next()
	if len(value) != 1 {
		r.err = calls.ErrCorrupt
		return false
	}
	return value[0] != 0
}

// array reads bytes of a fixed size.
func (r *reader) array(dst []byte) {
	if value := r.next(); copy(dst, value) != len(dst) || len(value) != len(dst) {
		r.err = calls.ErrCorrupt
	}
}
