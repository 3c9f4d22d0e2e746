// Package keyring holds the keys that sign tokens, and decides when they change.
//
// A Keyring has two rings, one for each type of token, so that no key ever signs both. A Ring holds
// the keys of one type: the one that signs, earlier ones that still verify, and the next one, which
// is published before it signs. The package does no I/O: the owner of the storage asks the Schedule
// which keys to keep, stores them, and passes them to the rings.
//
//	Decode(stored)         what another node or an earlier process stored
//	Schedule.Plan(now)     the records to keep: perhaps one more, perhaps fewer
//	Encode(planned)        for the storage, if something changed
//	Ring.Set(planned)      from now on the ring signs and verifies with these keys
//
// The life of a key, with the defaults of a Schedule that rotates:
//
//	published   From − Publish   verifiers can load it; it does not sign yet
//	signing     From             it signs new tokens
//	retired     the next From    it verifies the tokens that it signed
//	dropped     + Keep           all tokens that it signed have expired
package keyring
