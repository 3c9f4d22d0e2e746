// Package interop tests the real binary against software that nobody here wrote: validators,
// clients and browsers. It is a module of its own, so that what it needs is no part of anybody's
// build. Run it with go test -count=1 in its folder, since what Go remembers of tests knows nothing
// of the module around it, or with all else by .ci/run.
package interop
