package strictjson

import "errors"

// Errors in data. They contain nothing of the data, which may be a token.
var (
	// ErrSyntax means that the data is not JSON as defined by RFC 8259.
	ErrSyntax = errors.New("not valid JSON")
	// ErrEncoding means a byte order mark, invalid UTF-8, or an escape with half of a surrogate
	// pair (RFC 8259 sections 8.1 and 8.2).
	ErrEncoding = errors.New("JSON is not valid Unicode text")
	// ErrDuplicate means that an object has two members with the same name, after unescaping (RFC
	// 8259 section 4).
	ErrDuplicate = errors.New("JSON object has a name twice")
	// ErrDepth means that objects and arrays are nested too deeply.
	ErrDepth = errors.New("JSON is nested too deep")
	// ErrTrailing means that something follows the value.
	ErrTrailing = errors.New("data after the JSON value")
	// ErrNotObject means that the value is not an object.
	ErrNotObject = errors.New("JSON value is not an object")
	// ErrType means that a member has the wrong type.
	ErrType = errors.New("JSON member is of the wrong type or unknown")
	// ErrRange means that a number is out of the range of float64 (RFC 8259 section 6).
	ErrRange = errors.New("JSON has a number out of range")
)
