// Package docs holds the pages about the module, and the tests that keep them
// true: requirements.md names for each requirement the tests that hold it.
package docs
