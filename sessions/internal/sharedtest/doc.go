// Package sharedtest proves what stores on a server have in common, which several nodes share:
//
//	Run      of nodes that reach the server
//	Faults   of answers that are lost or late, feeds that are cut, a server that hangs
//
// Each kind of store runs both, beside package storetest and the tests of its own.
package sharedtest
