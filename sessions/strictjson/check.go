package strictjson

import "encoding/json"

// Check tells whether data is exactly one JSON value.
func Check(data []byte, maxDepth int) error { return ErrSyntax }

// CheckObject is Check, and the value must be an object.
func CheckObject(data []byte, maxDepth int) error { return ErrSyntax }

// A Member is a member of an object.
type Member struct {
	// Name is the name with its escapes resolved.
	Name string
	// Value is the value as it is written. It shares the data's memory.
	Value json.RawMessage
}

// Members is CheckObject, and returns the members of the object in their order.
func Members(data []byte, maxDepth int) ([]Member, error) { return nil, ErrSyntax }
