// Package feed is what nodes that share a store say to each other on its channel, and how each
// knows that it hears the others.
//
//	r <ms> <name>   a session was revoked
//	c <ms> <name>   a cutoff was added; the name has its data with it
//	h <node> <ns>   a heartbeat of a node to itself; ns is of its own clock
//
// Names are as the store writes them. Whatever else is said, perhaps by a newer release, means
// that the store is to be asked what happened.
package feed
