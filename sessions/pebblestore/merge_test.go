package pebblestore

import (
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// merged merges one commit for each of changes, and returns the keys of the batch in its order.
func merged(t *testing.T, e *engine, changes ...func(b *pebble.Batch) error) (keys []string) {
	t.Helper()
	var group []*commit
	for _, change := range changes {
		b := e.db.NewBatch()
		if err := change(b); err != nil {
			t.Fatal(err)
		}
		group = append(group, &commit{batch: b})
	}
	batch, _, err := e.merge(group)
	if err != nil {
		t.Fatal(err)
	}
	for r := batch.Reader(); ; {
		kind, key, value, ok, err := r.Next()
		if !ok || err != nil {
			e.reuse(batch, err)
			return keys
		}
		keys = append(keys, kind.String()+" "+string(key)+"="+string(value))
	}
}

func TestMerge_KeysAreInOrderAndChangesOfOneKeyInTheirs(t *testing.T) {
	e := openStore(t, Options{}).engine.Load()
	got := merged(t, e,
		func(b *pebble.Batch) error {
			return errors.Join(b.Set([]byte("c"), []byte("1"), nil), b.Set([]byte("a"), []byte("2"), nil), b.Delete([]byte("b"), nil))
		},
		func(b *pebble.Batch) error {
			return errors.Join(b.Delete([]byte("c"), nil), b.Set([]byte("b"), []byte("3"), nil), b.Set([]byte("c"), []byte("4"), nil))
		})
	if want := []string{"SET a=2", "DEL b=", "SET b=3", "SET c=1", "DEL c=", "SET c=4"}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}

// What was set before a range was deleted is deleted, and what was set afterwards is not.
func TestMerge_ARangeIsDeletedInTheOrderInWhichItCame(t *testing.T) {
	e := openStore(t, Options{}).engine.Load()
	got := merged(t, e,
		func(b *pebble.Batch) error { return b.Set([]byte("b"), []byte("1"), nil) },
		func(b *pebble.Batch) error { return b.DeleteRange([]byte("a"), []byte("c"), nil) },
		func(b *pebble.Batch) error { return b.Set([]byte("a"), []byte("2"), nil) })
	if want := []string{"SET b=1", "RANGEDEL a=c", "SET a=2"}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}
