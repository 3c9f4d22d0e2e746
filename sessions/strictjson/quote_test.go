package strictjson

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func wantQuoted(t *testing.T, text string) {
	t.Helper()
	var want bytes.Buffer
	encoder := json.NewEncoder(&want)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		t.Fatal(err)
	}
	got := AppendQuoted([]byte("before"), text)
	if string(got) != "before"+strings.TrimSuffix(want.String(), "\n") {
		t.Errorf("%q is quoted %s, not %s", text, got, want.String())
	}
	if strings.ToValidUTF8(text, "") != text {
		return
	}
	member := Member{Value: got[len("before"):]}
	if back, ok := member.Text(); !ok || back != text {
		t.Errorf("%q comes back %q, %t", text, back, ok)
	}
}

func TestAStringIsQuotedAsTheLibraryDoesIt(t *testing.T) {
	for c := range 0x300 {
		wantQuoted(t, string(rune(c)))
		wantQuoted(t, "a"+string(rune(c))+"<&>\"")
	}
	for _, text := range []string{"", "alice", "<b>&amp;</b>", "\u2028\u2029", "\xff", "a\xc3", "\xed\xa0\x80", "😀", strings.Repeat("x", 1000) + "\n"} {
		wantQuoted(t, text)
	}
}

func FuzzAppendQuoted(f *testing.F) {
	f.Add("alice <a&b>\n\xff é")
	f.Fuzz(func(t *testing.T, text string) { wantQuoted(t, text) })
}

func TestOnlyAStringIsText(t *testing.T) {
	for _, value := range []string{`1`, `null`, `["a"]`, `{"a":"b"}`, `true`, ``, `"`} {
		if text, ok := (&Member{Value: json.RawMessage(value)}).Text(); ok {
			t.Errorf("%s is %q", value, text)
		}
	}
}
