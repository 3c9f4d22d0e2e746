// Package storetest tests that a sessions.Store fulfills its contract. Every implementation runs
// the same suite:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T, now func() time.Time) sessions.Store {
//			return openMyStore(t, now)
//		})
//	}
//
// The suite consists of:
//
//	Run         the contract of sessions.Store and of the optional interfaces: each check
//	            has an empty store, with a clock that the check sets
//	RunNodes    two nodes of one store: a revocation revokes every session whose creation
//	            was acknowledged before, and none that is created after it was acknowledged
//	RunClocks   five nodes of one store whose own clocks are wrong
//
// A check that needs a Part is skipped only if the call of Run names that Part as missing.
//
// Memory is a store in memory: for tests of code that uses a store, and as an example of how to
// write one. The suite itself is tested with stores that have one mistake each.
package storetest
