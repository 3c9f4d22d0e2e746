// Package calls is what the calls of all stores have in common: how they are let in, how many are
// under way at once, how long each may take, and what their errors mean.
package calls
