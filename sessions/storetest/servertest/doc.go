// Package servertest starts servers for tests: on ports that the system selected and gives to no
// other process, in temporary folders, and no longer than the test.
package servertest
