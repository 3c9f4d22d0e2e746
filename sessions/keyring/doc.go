// Package keyring keeps the keys that sign tokens, and says when they change.
//
// A Keyring has two rings, one for each type of token, so that no key ever signs both.
// A Ring holds the keys of one type: the one that signs, those that signed before and
// still verify, and the next one, which is published before it signs. Nothing here does
// I/O: whoever owns the storage asks the Schedule what to keep, stores it and hands it
// to the rings.
//
//	Decode(stored)         what another node or an earlier process stored
//	Schedule.Plan(now)     what to keep now: perhaps one key more, perhaps some fewer
//	Encode(planned)        for the storage, where something changed
//	Ring.Set(planned)      from now on the ring signs and verifies by these keys
//
// The life of a key, with the defaults of a Schedule that rotates:
//
//	published   From − Publish   verifiers can load it, it signs nothing yet
//	signing     From             it signs what is minted
//	retired     the next From    it verifies what it signed
//	dropped     + Keep           every token that it signed has expired
package keyring
