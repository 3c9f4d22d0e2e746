package strictjson

import (
	"bytes"
	"math"
	"strings"
	"sync"
	"testing"
)

func TestMarshal_GivesEachValueItsOwnText(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup
	for i := range 8 {
		text := strings.Repeat(string(rune('a'+i)), 1<<i)
		group.Go(func() {
			for range 200 {
				err := Marshal([]string{text}, func(data []byte) {
					if string(data) != `["`+text+`"]` {
						t.Errorf("%q is written as %q", text, data)
					}
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

func TestMarshal_GivesNothingOfAValueThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	bad := []any{"begun", math.NaN()}
	if err := Marshal(bad, func(data []byte) { t.Errorf("used %q", data) }); err == nil {
		t.Error("NaN is written")
	}
	var got []byte
	if err := Marshal(1, func(data []byte) { got = bytes.Clone(data) }); err != nil || string(got) != "1" {
		t.Errorf("%q is written afterwards, %v", got, err)
	}
}
