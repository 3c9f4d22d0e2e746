// Package feed is the protocol of nodes that share a store on its notification channel, and how a
// node checks that it hears the others.
//
//	r <ms> <name>   a session was revoked
//	c <ms> <name>   a cutoff was added; its data follows the name
//	h <node> <ns>   a heartbeat of a node to itself; ns is from its own clock
//
// Names are in the form of the store. If a node receives anything else, perhaps from a newer
// release, it reads from the store what happened.
package feed
