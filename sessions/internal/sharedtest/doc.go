// Package sharedtest is what tests of stores on a server have in common: rows, feeds, load, and
// proxies. Its own tests check what all such stores must do when several nodes share them, while
// the server is reachable and while it is not.
package sharedtest
