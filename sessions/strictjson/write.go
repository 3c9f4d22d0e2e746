package strictjson

import (
	"bytes"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Marshal passes the JSON of a value to use, as json.Marshal writes it. Its memory is reused once
// use has returned. After an error, use was not called.
func Marshal(value any, use func(data []byte), opts ...json.Options) error {
	buffer := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buffer.Cap() <= maxBuffer {
			buffer.Reset()
			buffers.Put(buffer)
		}
	}()
	if err := json.MarshalWrite(buffer, value, opts...); err != nil {
		return err
	}
	use(buffer.Bytes())
	return nil
}

// maxBuffer is the maximum size of buffers that are reused, in bytes, so that a long list does not
// occupy memory for good.
const maxBuffer = 64 << 10

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// A Writer writes the members of an object one by one, like Marshal for a struct, but much faster.
// Invalid UTF-8 becomes U+FFFD.
type Writer struct {
	data []byte
	err  error
}

var writers = sync.Pool{New: func() any { return new(Writer) }}

// Write passes to use the JSON of an object with at least one member, which members writes. Its
// memory is reused once use has returned. After an error, use was not called.
func Write(members func(w *Writer), use func(data []byte)) error {
	w := writers.Get().(*Writer)
	defer func() {
		if cap(w.data) <= maxBuffer {
			*w = Writer{data: w.data[:0]}
			writers.Put(w)
		}
	}()
	members(w)
	if w.err != nil {
		return w.err
	}
	w.data = append(w.data, '}')
	use(w.data)
	return nil
}

// name begins a member.
func (w *Writer) name(name string) {
	begin := byte(',')
	if len(w.data) == 0 || w.data[len(w.data)-1] == ':' {
		begin = '{'
	}
	w.data = append(w.data, begin)
	w.text(name)
	w.data = append(w.data, ':')
}

// Token writes a member that is a compact JWS of ours (RFC 7515 section 7.1), as it is: nothing in one
// has to be escaped.
func (w *Writer) Token(name, token string) {
	w.name(name)
	w.data = append(append(append(w.data, '"'), token...), '"')
}

// Text writes a member that is a string.
func (w *Writer) Text(name, value string) {
	w.name(name)
	w.text(value)
}

// TextIfSet is Text, but writes nothing if value is "".
func (w *Writer) TextIfSet(name, value string) {
	if value != "" {
		w.Text(name, value)
	}
}

// text writes a string; common strings, which need no escaping, are copied.
func (w *Writer) text(value string) {
	if !isPlain(value) {
		w.marshal(value)
		return
	}
	w.data = append(append(append(w.data, '"'), value...), '"')
}

// isPlain reports whether a string is written as it is.
func isPlain(text string) bool {
	var others uint8
	for i := range len(text) {
		others |= notPlain[text[i]]
	}
	return others == 0
}

// notPlain is 1 where a byte is not written as it is, or not in every string.
var notPlain = func() (others [256]uint8) {
	for c := range others {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			others[c] = 1
		}
	}
	return others
}()

// Texts writes a member that is an array of strings.
func (w *Writer) Texts(name string, values []string) {
	w.name(name)
	w.data = append(w.data, '[')
	for i, value := range values {
		if i > 0 {
			w.data = append(w.data, ',')
		}
		w.text(value)
	}
	w.data = append(w.data, ']')
}

// Int writes a member that is a whole number.
func (w *Writer) Int(name string, value int64) {
	w.name(name)
	w.data = strconv.AppendInt(w.data, value, 10)
}

// Uint is Int for unsigned numbers.
func (w *Writer) Uint(name string, value uint64) {
	w.name(name)
	w.data = strconv.AppendUint(w.data, value, 10)
}

// True writes a member that is true, or nothing if value is false.
func (w *Writer) True(name string, value bool) {
	if value {
		w.name(name)
		w.data = append(w.data, "true"...)
	}
}

// Bool writes a member that is true or false.
func (w *Writer) Bool(name string, value bool) {
	w.name(name)
	w.data = strconv.AppendBool(w.data, value)
}

// Object writes a member that is an object with at least one member, which members writes.
func (w *Writer) Object(name string, members func()) {
	w.name(name)
	members()
	w.data = append(w.data, '}')
}

// Value writes a member with any value, like Marshal.
func (w *Writer) Value(name string, value any) {
	w.name(name)
	w.value(value)
}

var valueOptions = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.EscapeForJS(true))

// value writes the most frequent kinds of claims itself, and leaves others to the library.
func (w *Writer) value(value any) {
	switch value := value.(type) {
	case string:
		w.text(value)
	case int64:
		w.data = strconv.AppendInt(w.data, value, 10)
	case map[string]any:
		w.object(value)
	default:
		w.marshal(value)
	}
}

// object writes an object. If a name needs escaping, the library writes it: it checks whether two
// names become the same.
func (w *Writer) object(members map[string]any) {
	for name := range members {
		if !isPlain(name) {
			w.marshal(members)
			return
		}
	}
	begin := byte('{')
	for name, value := range members {
		w.data = append(w.data, begin)
		w.text(name)
		w.data = append(w.data, ':')
		w.value(value)
		begin = ','
	}
	if begin == '{' {
		w.data = append(w.data, begin)
	}
	w.data = append(w.data, '}')
}

func (w *Writer) marshal(value any) {
	if err := json.MarshalWrite((*appender)(w), value, valueOptions); err != nil {
		w.err = err
	}
}

// An appender is a Writer as an io.Writer.
type appender Writer

// Write appends.
func (a *appender) Write(data []byte) (int, error) {
	a.data = append(a.data, data...)
	return len(data), nil
}
