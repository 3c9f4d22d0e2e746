// Package docs contains the documentation pages and tests of them: requirements.md names the tests
// of each requirement, and the blocks in issuers.md are tested with tokens of their issuers.
package docs
