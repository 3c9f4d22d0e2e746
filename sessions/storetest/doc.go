// Package storetest proves that a sessions.Store keeps its contract. Every implementation
// runs the same suite:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T, now func() time.Time) sessions.Store {
//			return openMyStore(t, now)
//		})
//	}
//
// What the suite consists of:
//
//	Run         the contract of sessions.Store, and of what the store implements besides:
//	            each check on an empty store, with a clock that the check sets
//	RunNodes    two nodes of one store: a revocation revokes what was created before it was
//	            asked for, and nothing that is created after it was answered
//	RunClocks   five nodes of one store whose own clocks are wrong
//
// A check that needs a Part which the store does not implement is left out only where the
// call of Run names that Part.
//
// Memory is a store in memory: for tests of what stands on a store, and the example of how
// to write one. The suite itself is tested with stores that have one mistake each.
package storetest
