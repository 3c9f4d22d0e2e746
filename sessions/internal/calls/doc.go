// Package calls is the part of a call that all stores share: admission, limits on concurrency and
// time, and the meaning of errors.
package calls
