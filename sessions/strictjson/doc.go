// Package strictjson reads untrusted JSON objects (RFC 8259), and refuses anything that two parsers
// could read differently: duplicate names, invalid Unicode, data after the value, and excessive
// nesting.
//
// encoding/json uses the last of two members with the same name, ignores case in names, and
// replaces invalid text by U+FFFD; other parsers use the first member, or stop at a NUL. But if one
// parser checks a value and another acts on it, both must understand the same. The package is a
// thin layer on github.com/go-json-experiment/json, which becomes encoding/json/v2 in Go 1.27.
// Marshal and Writer write our own JSON without copying it.
package strictjson
