package strictjson

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
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

// FuzzWriter holds what a Writer writes against what encoding/json reads of it.
func FuzzWriter(f *testing.F) {
	for _, text := range []string{"", "alice", "a\"b\\c", "<script>&", "é😀", "\x00\x1f\x7f", "\u2028", "a\xffb", "name:", "{"} {
		f.Add(text, text+"2", int64(-7), true)
	}
	f.Fuzz(func(t *testing.T, name, text string, number int64, yes bool) {
		valid := func(s string) string { return string([]rune(s)) } // each byte that is not UTF-8 is U+FFFD
		want := map[string]any{
			"a" + valid(name): valid(text), "texts": []any{valid(name), valid(text)}, "none": []any{}, "int": json.Number(strconv.FormatInt(number, 10)),
			"uint": json.Number(strconv.FormatUint(uint64(number), 10)), "object": map[string]any{"in": valid(text)}, "value": map[string]any{"x": []any{valid(text), nil}},
			"claims": map[string]any{"b" + valid(text): valid(name), "n": json.Number(strconv.FormatInt(number, 10)), "in": map[string]any{}, "half": json.Number("0.5")},
			"bool":   yes, "token": "eyJ.e30.-_",
		}
		err := Write(func(w *Writer) {
			w.Text("a"+name, text)
			w.Texts("texts", []string{name, text})
			w.Texts("none", nil)
			w.TextIfSet("given", text)
			w.Int("int", number)
			w.Uint("uint", uint64(number))
			w.Object("object", func() { w.Text("in", text) })
			w.True("yes", yes)
			w.Value("value", map[string]any{"x": []any{text, nil}})
			w.Value("claims", map[string]any{"b" + text: name, "n": number, "in": map[string]any{}, "half": 0.5})
			w.Bool("bool", yes)
			w.Token("token", "eyJ.e30.-_")
		}, func(data []byte) {
			if text != "" {
				want["given"] = valid(text)
			}
			if yes {
				want["yes"] = true
			}
			got := decode(t, data)
			if !reflect.DeepEqual(got, any(want)) {
				t.Errorf("%s is read as %v, not %v", data, got, want)
			}
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestWrite_GivesNothingOfAnObjectWithAValueThatCannotBeWritten(t *testing.T) {
	err := Write(func(w *Writer) { w.Value("bad", math.NaN()); w.Int("n", 1) }, func(data []byte) { t.Errorf("used %q", data) })
	if err == nil {
		t.Error("NaN is written")
	}
	if err := Write(func(w *Writer) { w.Int("n", 1) }, func(data []byte) {
		if string(data) != `{"n":1}` {
			t.Errorf("%q is written afterwards", data)
		}
	}); err != nil {
		t.Error(err)
	}
}
