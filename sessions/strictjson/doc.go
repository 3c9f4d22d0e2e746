// Package strictjson refuses JSON that two parsers could read in two ways, and
// all that is no JSON.
//
// encoding/json takes the last of two members of one name, matches names
// without regard to case and puts U+FFFD where it finds no valid text; others
// take the first member, or stop at a NUL. What one of them checks and another
// acts on has to mean the same to both. So bytes from outside pass Check first,
// and may be decoded by anything afterwards.
package strictjson
