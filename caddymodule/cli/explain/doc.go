// Package explain says why a token is refused, and what to do about it: the checks of the server,
// one by one, each refusal with its mend and, where the configuration can help, the lines to
// write. It prints nothing and reads no flags; the command does.
//
//	Block, Trusted    what the checks depend on, of the configuration
//	New               with the keys that can be had from here
//	Site.Explain      the checks, the advice, and the rules
//	Mend              what to do about a reason, without a token
package explain
