// Package endpoint is what our own endpoints share: how a body is read, and how an answer is
// written.
package endpoint
