package forward

import (
	"slices"
	"testing"
)

// The fields that are not claims are named in their order, each of them once.
func TestFieldNames_AreThoseOfNoClaim(t *testing.T) {
	names := FieldNames()
	for _, name := range names {
		if claim, ok := Field(name).Claim(); ok {
			t.Errorf("%s is the claim %s", name, claim)
		}
	}
	if len(names) != 7 || !slices.IsSorted(names) {
		t.Errorf("%q", names)
	}
}
