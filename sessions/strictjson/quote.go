package strictjson

import (
	"bytes"
	"encoding/json"
)

// AppendQuoted appends a string as encoding/json writes it where it does not escape
// HTML, faster where the string is plain ASCII.
func AppendQuoted(dst []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; !plain[c] || c == 0x7f {
			return appendEncoded(dst, text)
		}
	}
	return append(append(append(dst, '"'), text...), '"')
}

func appendEncoded(dst []byte, text string) []byte {
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string has a JSON form always
	return append(dst, bytes.TrimSuffix(data.Bytes(), []byte("\n"))...)
}
