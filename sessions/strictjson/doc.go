// Package strictjson reads JSON objects from outside (RFC 8259), and refuses what two
// parsers could read in two ways: names that come twice, what is not Unicode, what
// follows the value, and nesting that is deeper than it has to be.
//
// encoding/json takes the last of two members of one name, matches names without regard
// to case and puts U+FFFD where it finds no valid text; others take the first member, or
// stop at a NUL. What one of them checks and another acts on has to mean the same to
// both. The package is a thin layer on github.com/go-json-experiment/json, which is
// encoding/json/v2 of Go 1.27. What we write ourselves, Marshal writes, without a copy.
package strictjson
