// Package expression compiles the CEL expressions of rules, and bounds what they may cost. An
// expression sees the claims of the caller, and the user id, reason and client id of the
// session; it reads no clock, no file and no network.
package expression
