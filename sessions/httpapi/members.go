package httpapi

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"authsidecar/sessions/strictjson"
)

// maxDepth limits the nesting of JSON in a body.
const maxDepth = 4

// A bodyShape describes the JSON object that an endpoint reads.
type bodyShape struct {
	// want completes "send" in an error.
	want string
	// required is the member that must be there, and missing the error without it.
	required, missing string
	members           map[string]member
}

// A member is the type of a member.
type member struct {
	want  string // completes "must be" in an error
	kinds []jsontext.Kind
}

var aString = member{"a string", []jsontext.Kind{jsontext.KindString}}

// readObject decodes a body strictly: anything that two parsers could read differently is refused.
func (s *bodyShape) readObject(data []byte, into any) error {
	if strictjson.Unmarshal(data, maxDepth, into, json.RejectUnknownMembers(true)) != nil {
		return s.problem(data)
	}
	return nil
}

// faults are the errors of a body that is not one JSON object.
var faults = []struct {
	err  error
	text string
}{
	{strictjson.ErrSyntax, "The body is not valid JSON"},
	{strictjson.ErrEncoding, "The body has another encoding than UTF-8, a byte order mark, or half of a surrogate pair"},
	{strictjson.ErrTrailing, "Something follows the JSON value in the body"},
	{strictjson.ErrNotObject, "The body is JSON, but not an object"},
	{strictjson.ErrDepth, "The JSON in the body is nested too deep"},
	{strictjson.ErrDuplicate, "An object in the body has a member twice"},
}

// problem returns what is wrong with a refused body, and names the wrong member if there is one. It
// repeats an unknown name only if it is spelled like ours, since any text may be there.
func (s *bodyShape) problem(data []byte) *Problem {
	if len(bytes.TrimSpace(data)) == 0 {
		return s.wrong("The body is empty")
	}
	members, err := strictjson.Members(data, maxDepth)
	for _, fault := range faults {
		if errors.Is(err, fault.err) {
			return s.wrong(fault.text)
		}
	}
	named := false
	for i := range members {
		name := members[i].Name
		known, ok := s.members[name]
		switch {
		case !ok && isMemberName(name):
			return s.wrong("There is no member " + name)
		case !ok:
			return s.wrong("The body has a member that is not known here")
		case !slices.Contains(known.kinds, members[i].Value.Kind()):
			return invalidRequest(name + " must be " + known.want + ".")
		}
		named = named || name == s.required
	}
	if !named {
		return invalidRequest(s.missing)
	}
	return s.wrong("The body is not as it should be")
}

// wrong returns the problem of a body that is not of this shape.
func (s *bodyShape) wrong(what string) *Problem { return invalidRequest(what + ": send " + s.want) }

// isMemberName reports whether a name is short and spelled like the members of an API.
func isMemberName(name string) bool {
	return name != "" && len(name) <= 32 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-") == ""
}

func invalidRequest(detail string) *Problem {
	return NewProblem(400, "invalid_request", "Invalid request", detail)
}
