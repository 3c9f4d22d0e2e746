// Package endpoint is what our own endpoints share: which request is for which of them, how a body
// is read, and how an answer is written.
package endpoint
