// Package placeholder replaces {env.NAME} and {file./path} in what operators write. No
// text of a configuration keeps a placeholder as it stands: each is replaced when the
// configuration is provisioned, or refused, as the tag "placeholders" of its field says.
//
//	none      refused
//	resolve   replaced; in a list, one that is a word of its own gives a value for each
//	          word that it holds
//	request   replaced; other placeholders are for requests
//	code      the text has braces of its own; what looks like a placeholder is refused
//	secret    left alone: who uses it resolves it then, and keeps it nowhere
package placeholder
