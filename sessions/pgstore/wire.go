package pgstore

import (
	"encoding/binary"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"authsidecar/sessions/internal/calls"
)

// Statements speak bytea, bigint and boolean, in binary, and a little text. Nothing is
// prepared: a statement, its arguments and its answer are one round trip, which any
// pooler may give to any connection.

// args are the arguments of one statement, $1 first.
type args struct {
	values  [][]byte
	types   []uint32
	formats []int16
}

func (a *args) add(oid uint32, value []byte) *args {
	a.values = append(a.values, value)
	a.types = append(a.types, oid)
	a.formats = append(a.formats, pgtype.BinaryFormatCode)
	return a
}

// bytes adds bytes, which are never NULL.
func (a *args) bytes(b []byte) *args {
	if b == nil {
		b = []byte{}
	}
	return a.add(pgtype.ByteaOID, b)
}

func (a *args) text(s string) *args { return a.bytes([]byte(s)) }

// maybeText adds bytes; "" is NULL.
func (a *args) maybeText(s string) *args {
	if s == "" {
		return a.add(pgtype.ByteaOID, nil)
	}
	return a.text(s)
}

// string adds a text; it must hold no NUL.
func (a *args) string(s string) *args { return a.add(pgtype.TextOID, []byte(s)) }

func (a *args) int(n int64) *args {
	return a.add(pgtype.Int8OID, binary.BigEndian.AppendUint64(nil, uint64(n)))
}

// null adds a bigint that is NULL.
func (a *args) null() *args { return a.add(pgtype.Int8OID, nil) }

func (a *args) bool(b bool) *args {
	if b {
		return a.add(pgtype.BoolOID, []byte{1})
	}
	return a.add(pgtype.BoolOID, []byte{0})
}

// allBinary asks for all columns of an answer in binary.
var allBinary = []int16{pgtype.BinaryFormatCode}

// A reader reads the columns of one row of an answer from the left. What cannot be
// read is an error at the end, and zero until then.
type reader struct {
	values [][]byte
	asked  time.Duration // when that was, by Clock.Passed
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

// int reads a bigint; NULL is not ok.
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

// array reads bytes of one size.
func (r *reader) array(dst []byte) {
	if value := r.next(); copy(dst, value) != len(dst) || len(value) != len(dst) {
		r.err = calls.ErrCorrupt
	}
}
