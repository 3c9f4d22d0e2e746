package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

var accepted = []string{
	`{}`, `[]`, `""`, `0`, `-0`, `-1`, `10`, `1.5`, `1e9`, `1E+9`, `1.0e-9`, `true`, `false`, `null`,
	" \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : null } \n",
	`{"":0}`, `{"a":1,"A":2}`, `{"a":{"a":{"a":1}}}`, `[{"a":1},{"a":1}]`, `{"a":1,"b":{"a":1,"b":2}}`,
	`"\"\\\/\b\f\n\r\t"`, `"\u0000"`, `"\u00e9"`, `"\uD83D\uDE00"`, `"\ud83d\ude00"`, `"é 😀"`, "\"\x7f\"", "\"\u2028\"", "\"\ufffd\"", `"\ufffe"`, `"\\ud83d"`,
	"\"a\ufeffb\"", `[[[[[[[[]]]]]]]]`, `[[],[],[[]]]`, `123456789012345678901234567890`, `1e999`, `{"a\u0062":1,"ab ":2}`,
}

// refused are what RFC 8259, or one of two parsers, has no or another value for.
var refused = map[string]error{
	``: ErrSyntax, ` `: ErrSyntax, "\n": ErrSyntax, "\x00": ErrSyntax,
	`{`: ErrSyntax, `}`: ErrSyntax, `[`: ErrSyntax, `]`: ErrSyntax, `[1`: ErrSyntax, `[1,`: ErrSyntax, `[1,]`: ErrSyntax, `[,1]`: ErrSyntax, `[1 2]`: ErrSyntax, `[1}`: ErrSyntax, `[,]`: ErrSyntax, `[1,,2]`: ErrSyntax, `["a":1]`: ErrSyntax,
	`{"a"}`: ErrSyntax, `{"a":}`: ErrSyntax, `{"a":1,}`: ErrSyntax, `{,}`: ErrSyntax, `{"a":1]`: ErrSyntax, `{"a" 1}`: ErrSyntax, `{a:1}`: ErrSyntax, `{'a':1}`: ErrSyntax, `{1:1}`: ErrSyntax, `{null:1}`: ErrSyntax, `{"a":1 "b":2}`: ErrSyntax, `{"a"::1}`: ErrSyntax, `{"a":1,,"b":2}`: ErrSyntax, `{"a":`: ErrSyntax, `{"a":1`: ErrSyntax, `{"a`: ErrSyntax, `{"a"`: ErrSyntax, `{"a":1,`: ErrSyntax,
	`+1`: ErrSyntax, `01`: ErrSyntax, `-01`: ErrSyntax, `-`: ErrSyntax, `.5`: ErrSyntax, `1.`: ErrSyntax, `1.e1`: ErrSyntax, `1e`: ErrSyntax, `1e+`: ErrSyntax, `0x1`: ErrTrailing, `NaN`: ErrSyntax, `Infinity`: ErrSyntax, `-Infinity`: ErrSyntax, `1_000`: ErrTrailing, `1e1.5`: ErrTrailing, `--1`: ErrSyntax, `００`: ErrSyntax,
	`True`: ErrSyntax, `tru`: ErrSyntax, `truee`: ErrTrailing, `nul`: ErrSyntax, `fals`: ErrSyntax, `undefined`: ErrSyntax,
	`"`: ErrSyntax, `"a`: ErrSyntax, `"\`: ErrSyntax, `"\"`: ErrSyntax, `"\x41"`: ErrSyntax, `"\a"`: ErrSyntax, `"\'"`: ErrSyntax, `"\0"`: ErrSyntax, `"\U0041"`: ErrSyntax, `"\u"`: ErrSyntax, `"\u00"`: ErrSyntax, `"\u00g0"`: ErrSyntax, `"\u00"00"`: ErrSyntax, `"\u 041"`: ErrSyntax, `"\u-041"`: ErrSyntax, `'a'`: ErrSyntax, "\"\n\"": ErrSyntax, "\"\t\"": ErrSyntax, "\"\x00\"": ErrSyntax, "\"\x1f\"": ErrSyntax, `"\u000`: ErrSyntax,
	`// a`: ErrSyntax, `/**/1`: ErrSyntax, `{"a":1/**/}`: ErrSyntax, "\u00a0{}": ErrSyntax, "\v1": ErrSyntax, "\f1": ErrSyntax, "\u20281": ErrSyntax,

	"\"\xff\"": ErrEncoding, "\"\xc3\"": ErrEncoding, "\"\xc0\xaf\"": ErrEncoding, "\"\xe0\x80\xaf\"": ErrEncoding, "\"\xed\xa0\x80\"": ErrEncoding, "\"\xed\xa0\xbd\xed\xb8\x80\"": ErrEncoding, "\"\xf4\x90\x80\x80\"": ErrEncoding, "\"\xf8\x88\x80\x80\x80\"": ErrEncoding, "\"\x80\"": ErrEncoding, "{\"\xff\":1}": ErrEncoding, "{\"a\":[\"\xff\"]}": ErrEncoding,
	`"\ud800"`: ErrEncoding, `"\uDFFF"`: ErrEncoding, `"\ud800a"`: ErrEncoding, `"\ud800\n"`: ErrEncoding, `"\ud800\u0041"`: ErrEncoding, `"\ud800\ud800"`: ErrEncoding, `"\udc00\ud800"`: ErrEncoding, `"\ud83d\\ude00"`: ErrEncoding, `"\udc00\udc00"`: ErrEncoding, `{"\ud800":1}`: ErrEncoding, `"\ud800\u00"`: ErrSyntax,

	`{"a":1,"a":2}`: ErrDuplicate, `{"a":1,"a":1}`: ErrDuplicate, `{"a":1,"\u0061":2}`: ErrDuplicate, `{"\u0061":1,"\u0061":2}`: ErrDuplicate, `{"":1,"":2}`: ErrDuplicate, `{"x":{"a":1,"b":2,"a":3}}`: ErrDuplicate, `[[{"a":1,"a":1}]]`: ErrDuplicate, `{"é":1,"\u00e9":2}`: ErrDuplicate, `{"😀":1,"\uD83D\uDE00":2}`: ErrDuplicate, `{"/":1,"\/":2}`: ErrDuplicate, `{"a":{"b":1},"c":0,"a":{}}`: ErrDuplicate,

	`{}{}`: ErrTrailing, `{} x`: ErrTrailing, "{}\x00": ErrTrailing, `1 2`: ErrTrailing, `"a""b"`: ErrTrailing, `[]]`: ErrTrailing, `{}}`: ErrTrailing, `{},`: ErrTrailing, `null null`: ErrTrailing,

	`[[[[[[[[[]]]]]]]]]`: ErrDepth, `{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}}}}`: ErrDepth, `[{"a":[{"a":[{"a":[{"a":[]}]}]}]}]`: ErrDepth, strings.Repeat(`[`, 1<<20): ErrDepth, strings.Repeat(`{"a":`, 1<<20): ErrDepth,
}

// wrap puts a value into an object, and check reads that in each of the ways.
func wrap(value string) []byte { return []byte(`{"value":` + value + `}`) }

func check(t *testing.T, data []byte, maxDepth int) error {
	t.Helper()
	before := bytes.Clone(data)
	_, err := Members(data, maxDepth)
	if object, other := Object(data, maxDepth); !errors.Is(other, err) && !errors.Is(other, ErrRange) || (other != nil) != (object == nil) {
		t.Errorf("%.40q: Members says %v, and Object %v, %v", data, err, object, other)
	}
	if _, outer := OuterMembers(data, maxDepth); !errors.Is(outer, err) && !errors.Is(err, ErrDuplicate) {
		t.Errorf("%.40q: Members says %v, and OuterMembers %v", data, err, outer)
	}
	if !bytes.Equal(data, before) {
		t.Errorf("%.40q was written over", before)
	}
	return err
}

func TestV13_WhatRFC8259AndAllParsersReadAlikeIsAccepted(t *testing.T) {
	for _, data := range accepted {
		if err := check(t, wrap(data), 9); err != nil {
			t.Errorf("%q: %v", data, err)
		}
		if !json.Valid([]byte(data)) {
			t.Errorf("%q: the case is wrong", data)
		}
	}
}

// Covers H1.
func TestV11_V13_WhatTwoParsersMayReadInTwoWaysIsRefused(t *testing.T) {
	for data, want := range refused {
		err := check(t, wrap(data), 9)
		if errors.Is(want, ErrTrailing) || errors.Is(err, ErrTrailing) { // of a value in an object there is no trailing
			want, err = ErrSyntax, map[bool]error{true: ErrSyntax}[err != nil]
		}
		if !errors.Is(err, want) {
			t.Errorf("%.40q: %v, want %v", data, err, want)
		}
	}
}

func TestV11_DuplicatesAreSeenAmongAnyNumberOfMembers(t *testing.T) {
	for n := 1; n <= 100; n++ {
		var members []string
		for i := range n {
			members = append(members, fmt.Sprintf(`"name%d":{"x":%d}`, i*7%n, i)) // each n coprime to 7 gives distinct names
		}
		data := "{" + strings.Join(members, ",") + "}"
		want := map[bool]error{true: ErrDuplicate}[n%7 == 0 && n > 1]
		if err := check(t, []byte(data), 2); !errors.Is(err, want) {
			t.Errorf("%d members: %v, want %v", n, err, want)
		}
	}
}

func TestDepthIsCountedFromTheObjectInwards(t *testing.T) {
	for depth := range 6 {
		value := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		if depth == 0 {
			value = `"[[[\"[{"`
		}
		for limit := -1; limit < 8; limit++ {
			want := map[bool]error{true: ErrDepth}[depth+1 > limit]
			if err := check(t, wrap(value), limit); !errors.Is(err, want) {
				t.Errorf("%s in %d: %v, want %v", value, limit, err, want)
			}
		}
	}
}

func TestOnlyAnObjectIsRead(t *testing.T) {
	for data, want := range map[string]error{
		`{"a":[1]}`: nil, ` {}`: nil,
		`[]`: ErrNotObject, `null`: ErrNotObject, `1`: ErrNotObject, ` "a"`: ErrNotObject, `-1`: ErrNotObject, `true`: ErrNotObject, `false`: ErrNotObject,
		``: ErrSyntax, ` `: ErrSyntax, `x`: ErrSyntax, `{`: ErrSyntax, `}`: ErrSyntax, "\x00": ErrSyntax, "{\x00\"\x00a\x00": ErrSyntax, "\xff\xfe{\x00}\x00": ErrSyntax,
		"\xef\xbb\xbf{}": ErrEncoding, "{}\xef\xbb\xbf": ErrTrailing, `{"a":1,"a":1}`: ErrDuplicate, `{"a":[[]]}`: ErrDepth,
		`{}{}`: ErrTrailing, `{} x`: ErrTrailing, "{}\x00": ErrTrailing, `{}}`: ErrTrailing, `{},`: ErrTrailing,
	} {
		if err := check(t, []byte(data), 2); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", data, err, want)
		}
	}
}

func TestANumberThatNoFloatIsNearIsNoValue(t *testing.T) {
	for _, number := range []string{"1e400", "-1e400", "1e99999999999", strings.Repeat("9", 400)} {
		if object, err := Object(wrap(number), 1); object != nil || !errors.Is(err, ErrRange) {
			t.Errorf("%s: %v, %v", number, object, err)
		}
		if _, err := Members(wrap(number), 1); err != nil {
			t.Errorf("%s: %v", number, err)
		}
	}
}

func TestMembersKeepTheirOrderAndAsTheyAreWritten(t *testing.T) {
	got, err := Members([]byte(` { "z" : 1 , "a\u0062" : {"z":[ 2 ]} ,"":"\u0061", "n":null } `), 3)
	want := []Member{{"z", jsontext.Value(`1`)}, {"ab", jsontext.Value(`{"z":[ 2 ]}`)}, {"", jsontext.Value(`"\u0061"`)}, {"n", jsontext.Value(`null`)}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := Members([]byte(`{}`), 1); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestOuterMembersLeaveWhatIsNestedToWhoeverUsesIt(t *testing.T) {
	got, err := OuterMembers([]byte(`{"a":[{"x":1,"x":2}],"b":{"y":1}}`), 3)
	if err != nil || len(got) != 2 || string(got[0].Value) != `[{"x":1,"x":2}]` || !errors.Is(check(t, wrap(string(got[0].Value)), 4), ErrDuplicate) {
		t.Errorf("%s, %v", got, err)
	}
	for data, want := range map[string]error{
		`{"a":1,"a":2}`: ErrDuplicate, `{"a":1,"b":{"x":1,"x":2},"\u0061":2}`: ErrDuplicate, `{"a":[[[]]]}`: ErrDepth, `{"a":{"x":"\ud800","x":1}}`: ErrEncoding, `{"a":{"x":1,"x":}}`: ErrSyntax,
	} {
		if _, err := OuterMembers([]byte(data), 3); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", data, err, want)
		}
	}
}

func TestAMembersValueCannotGrowIntoTheData(t *testing.T) {
	data := []byte(`{"a":1,"b":2}`)
	members, _ := Members(data, 1)
	_ = append(members[0].Value, "XXXX"...)
	if string(data) != `{"a":1,"b":2}` {
		t.Errorf("%s", data)
	}
}

func TestErrorsHoldNothingOfTheData(t *testing.T) {
	for _, data := range []string{`{"s3cret":1,"s3cret":2}`, `"s3cret`, `{"s3cret"}`, "\"s3cret\xff\"", `s3cret`, `{} s3cret`} {
		if err := check(t, []byte(data), 8); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", data, err)
		}
	}
}

// What an attacker sends in one megabyte, which is the most that is read, costs
// about as much as any other megabyte.
func TestManyMembersAreNotQuadratic(t *testing.T) {
	prefix := strings.Repeat("p", 40)
	var b strings.Builder
	for b.WriteString(`{"`); b.Len() < 1<<20; {
		fmt.Fprintf(&b, `%s%d":0,"`, prefix, b.Len())
	}
	b.WriteString(`":0}`)
	if members, err := Members([]byte(b.String()), 1); err != nil || len(members) < 20000 {
		t.Fatal(len(members), err)
	}
}

var samples = map[string][]byte{
	"body":   []byte(`{"user_id": "alice", "expires_in_millis": 3600000, "is_impersonation": true, "reason": "ticket 4711"}`),
	"claims": []byte(`{"iss":"https://idp.example.com","sub":"248289761001","aud":["https://app.example.com/auth/sessions","other"],"exp":1893456000,"iat":1893452400,"nbf":1893452400,"jti":"b7c1a2f4-4e0d-4a35-9a3c-2f7a1f1a0e55","client_id":"support-desk","scope":"openid profile sessions:impersonate","realm_access":{"roles":["support","agent"]},"email":"jos\u00e9@example.com","email_verified":true,"name":"José Müller","acr":"1"}`),
}

func BenchmarkRead(b *testing.B) {
	for name, data := range samples {
		for way, read := range map[string]func() error{
			"members": func() error { _, err := Members(data, 16); return err },
			"object":  func() error { _, err := Object(data, 16); return err },
		} {
			b.Run(name+"/"+way, func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					if err := read(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func TestOnlyAStringIsText(t *testing.T) {
	for _, value := range []string{`1`, `null`, `["a"]`, `{"a":"b"}`, `true`, ``, `"`} {
		if text, ok := (&Member{Value: jsontext.Value(value)}).Text(); ok {
			t.Errorf("%s is %q", value, text)
		}
	}
}
