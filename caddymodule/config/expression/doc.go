// Package expression compiles the CEL expressions of rules, and limits their cost. An expression
// sees the claims of the caller, and the user id, reason and client id of the session; it cannot
// read a clock, a file or the network.
package expression
