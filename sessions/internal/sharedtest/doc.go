// Package sharedtest has what tests of stores on a server have in common: rows, feeds that are
// followed, load, and proxies. Its own tests prove what holds of all such stores, which several
// nodes share, where the nodes reach the server and where they do not.
package sharedtest
