// Package interop tests the real binary against software that nobody here wrote: validators,
// clients and browsers. It is a module of its own, so that what it needs is no part of anybody's
// build: run it with go test in its folder, or all at once by .ci/run.
package interop
