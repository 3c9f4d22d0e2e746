package keyring_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
)

func TestKeys_SurviveARoundTrip(t *testing.T) {
	var records []keyring.Record
	for i, alg := range []jose.Algorithm{jose.EdDSA, jose.ES256, jose.ES384, jose.ES512, jose.RS256, jose.PS256} {
		records = append(records, keyring.Record{From: keyEpoch.Add(time.Duration(i/2) * day), Key: generate(t, alg)})
	}
	data, err := keyring.Encode(records)
	must(t, err)
	read, err := keyring.Decode(data)
	must(t, err)
	if ids(read) != ids(records) {
		t.Fatalf("read %s, want %s", ids(read), ids(records))
	}
	for i := range read {
		if !read[i].From.Equal(records[i].From) || read[i].Key.Algorithm() != records[i].Key.Algorithm() {
			t.Errorf("key %d: from %v, %s", i, read[i].From, read[i].Key.Algorithm())
		}
		token, err := read[i].Key.Sign([]byte(`{"alg":"`+string(read[i].Key.Algorithm())+`"}`), []byte(`{}`))
		must(t, err)
		parsed, err := jose.Parse(token)
		must(t, err)
		if err := parsed.Verify(records[i].Key.Public(), nil); err != nil {
			t.Errorf("key %d signs what the first does not verify: %v", i, err)
		}
	}
	again, err := keyring.Encode(read)
	if err != nil || !bytes.Equal(again, data) {
		t.Errorf("written again it is another: %v", err)
	}
}

// What is damaged is refused, whole, by an error that holds nothing of a key.
func TestKeys_DamageIsRefused(t *testing.T) {
	records := []keyring.Record{{From: keyEpoch, Key: generate(t, jose.ES256)}, {From: keyEpoch.Add(day), Key: generate(t, jose.EdDSA)}}
	data, err := keyring.Encode(records)
	must(t, err)
	good := string(data)
	_, rest, _ := strings.Cut(good, `"d":"`)
	d, _, _ := strings.Cut(rest, `"`)
	if len(d) != 43 {
		t.Fatalf("no private part in what is stored: %d characters", len(d))
	}
	swapped, err := keyring.Encode([]keyring.Record{records[1], records[0]})
	must(t, err)
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("nothing to damage: %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, damaged := range map[string]string{
		"nothing":                   "",
		"null":                      "null",
		"an empty object":           "{}",
		"a list":                    "[]",
		"another format":            replace(`"v":1`, `"v":2`),
		"no format":                 replace(`"v":1`, `"w":1`),
		"no keys":                   `{"v":1}`,
		"an empty list of keys":     `{"v":1,"keys":[]}`,
		"no list of keys":           `{"v":1,"keys":null}`,
		"a key that is null":        `{"v":1,"keys":[null]}`,
		"a key without a key":       `{"v":1,"keys":[{"from":1}]}`,
		"half of it":                good[:len(good)/2],
		"all but the end":           good[:len(good)-1],
		"something after it":        good + "x",
		"it twice":                  good + good,
		"zeros at the end":          good + "\x00\x00",
		"all zeros":                 strings.Repeat("\x00", len(good)),
		"no private part":           replace(`"d":"`+d, `"e":"`+d),
		"half a private part":       replace(d, d[:20]),
		"another private part":      replace(d, strings.Repeat("A", 42)+"E"),
		"a private part with blank": replace(d, d[:20]+" "+d[21:]),
		"a symmetric key":           `{"v":1,"keys":[{"from":1,"jwk":{"kty":"oct","k":"` + d + `"}}]}`,
		"keys out of order":         string(swapped),
		"a time that is text":       replace(`"from":`, `"from":"1","x":`),
	} {
		t.Run(name, func(t *testing.T) {
			read, err := keyring.Decode([]byte(damaged))
			if err == nil {
				t.Fatalf("read %d keys", len(read))
			}
			for i := 0; i+12 <= len(d); i++ {
				if strings.Contains(err.Error(), d[i:i+12]) {
					t.Fatal("the error holds a part of the key")
				}
			}
		})
	}
}
