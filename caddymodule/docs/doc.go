// Package docs holds the pages about the module, and the tests that keep them
// true: requirements.md names for each requirement the tests that hold it, and the blocks of
// issuers.md are tried with the tokens of their issuers.
package docs
