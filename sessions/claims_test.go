package sessions

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestNumbersOfClaimsAreInt64WhereTheyAreWhole(t *testing.T) {
	for text, want := range map[string]any{
		"0": int64(0), "-0": int64(0), "7": int64(7), "-7": int64(-7), "1.0": int64(1), "1e3": int64(1000), "12E-1": 1.2,
		"9007199254740993": int64(9007199254740993), "9223372036854775807": int64(math.MaxInt64),
		"-9223372036854775808": int64(math.MinInt64), "9223372036854775808": float64(1 << 63), "1e300": 1e300, "0.5": 0.5,
	} {
		var c Claims
		if err := json.Unmarshal([]byte(`{"n":`+text+`,"deep":[{"n":`+text+`}]}`), &c); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		deep := c["deep"].([]any)[0].(map[string]any)["n"]
		if !reflect.DeepEqual(c["n"], want) || !reflect.DeepEqual(deep, want) {
			t.Errorf("%s is %T %v and %T %v, not %T %v", text, c["n"], c["n"], deep, deep, want, want)
		}
	}
}

func TestClaimsAreOneJSONObject(t *testing.T) {
	for _, text := range []string{
		"", "1", `"x"`, "[]", "true", "null", "{", "}", "{}{}", "{} x", `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{a:1}`, `{"a":01}`, `{"a":1.}`,
		`{"a":.5}`, `{"a":+1}`, `{"a":-}`, `{"a":1e}`, `{"a":1e400}`, `{"a":NaN}`, `{"a":tru}`, `{"a":[1,]}`, `{"a":[1 2]}`, "{\"a\":\"\n\"}",
		`{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"`, `{"a":"\`, "{\"a\":1}\x00", strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100),
		strings.Repeat(`[`, 1e6), `{"a":1,"a":1}`, `{"a":{"b":1,"b":2}}`, `{"\ud800":1}`, "{\"a\":\"\xff\"}",
	} {
		c := Claims{"before": true}
		if err := c.UnmarshalJSON([]byte(text)); err == nil || len(c) != 1 {
			t.Errorf("%.40q was read as %v", text, c)
		}
	}
}

// whole makes of what encoding/json gives what Claims has.
func whole(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		if f == math.Trunc(f) && f >= -1<<63 && f < 1<<63 {
			return int64(f)
		}
		return f
	case map[string]any:
		for name := range v {
			v[name] = whole(v[name])
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	}
	return value
}

func FuzzClaims(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,2.5,null,"x",{"b":true}],"a":2}`, `{"\ud800":"\u00e9\ufffd\ud83d\ude00"}`, "{\"\xff\":\"\xc3\"}", ` { "a" : -0.0 , "b":1e2 } `, `{"":[]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got Claims
		err := got.UnmarshalJSON(data)
		dec := json.NewDecoder(strings.NewReader(string(data)))
		dec.UseNumber()
		var want map[string]any
		plain := dec.Decode(&want)
		if !json.Valid(data) || plain != nil {
			if err == nil {
				t.Fatalf("%q was read as %v", data, got)
			}
			return
		}
		if err != nil {
			return // too deep, or a number out of range: refused by us alone
		}
		if len(want) == 0 && len(got) == 0 {
			return
		}
		if !reflect.DeepEqual(map[string]any(got), whole(want)) {
			t.Errorf("%q is %#v, not %#v", data, got, whole(want))
		}
	})
}
