// Package servertest starts servers for tests: on ports that the system chose and gives to no other
// process, in temporary folders, and no longer than the test.
package servertest
