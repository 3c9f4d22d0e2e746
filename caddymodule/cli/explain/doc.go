// Package explain explains why a token is refused, and what to do about it: it makes the checks of
// the server one by one, and adds advice to each refusal and, if the configuration can help, the
// lines to write. It prints nothing and reads no flags; the command does.
//
//	Block, Trusted    the part of the configuration that the checks depend on
//	New               a site, with the keys that are available
//	Site.Explain      the checks, the advice, and the rules
//	Mends             what to do about a reason, without a token
package explain
