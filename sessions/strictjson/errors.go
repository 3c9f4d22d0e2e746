package strictjson

import "errors"

// What is wrong with data. The errors say where nothing of it is: it may be a
// token.
var (
	// ErrSyntax means that the data is not JSON as RFC 8259 defines it.
	ErrSyntax = errors.New("not valid JSON")
	// ErrEncoding means a byte order mark, bytes that are not UTF-8, or half of
	// a surrogate pair in an escape (RFC 8259 sections 8.1 and 8.2).
	ErrEncoding = errors.New("JSON is not valid Unicode text")
	// ErrDuplicate means that an object has two members of one name, escapes
	// resolved (RFC 8259 section 4).
	ErrDuplicate = errors.New("JSON object has a name twice")
	// ErrDepth means that objects and arrays are nested too deep.
	ErrDepth = errors.New("JSON is nested too deep")
	// ErrTrailing means that something follows the value.
	ErrTrailing = errors.New("data after the JSON value")
	// ErrNotObject means that the value is not an object.
	ErrNotObject = errors.New("JSON value is not an object")
	// ErrType means that a member has another type than is asked for.
	ErrType = errors.New("JSON member is of the wrong type or unknown")
	// ErrRange means a number that no float64 is near (RFC 8259 section 6).
	ErrRange = errors.New("JSON has a number out of range")
)
