// Package placeholder resolves {env.NAME} and {file./path} in configurations. When a configuration
// is provisioned, each placeholder is either replaced or refused, depending on the tag
// "placeholders" of its field:
//
//	none      refused
//	resolve   replaced; in a list, one that is an item of its own gives an item for each
//	          word of its value
//	request   replaced; other placeholders are resolved for each request
//	code      the string has braces of its own; what looks like a placeholder is refused
//	secret    left alone: the code that needs it resolves it then, and does not store it
package placeholder
