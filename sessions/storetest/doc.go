// Package storetest proves that a sessions.Store keeps its contract. Each
// implementation runs the same suite:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T, now func() time.Time) sessions.Store {
//			return openMyStore(t, now)
//		})
//	}
//
// Memory is a store that keeps the contract in memory, for tests of what stands
// on a store.
package storetest
