package jose

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"
)

type vectorFile struct {
	Count  int           `json:"numberOfTests"`
	Groups []vectorGroup `json:"testGroups"`
}

type vectorGroup struct {
	Comment string
	Public  json.RawMessage
	Private json.RawMessage
	Tests   []vector
}

type vector struct {
	ID      int `json:"tcId"`
	Comment string
	Result  string
	JWS     json.RawMessage
	JWE     json.RawMessage
}

func vectors(t testing.TB, name string) (file vectorFile) {
	t.Helper()
	data, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err == nil {
		err = json.Unmarshal(data, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// token is a string, or a JSON serialisation.
func token(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// A verdict of ours that is not that of the file, and why.
type otherwise struct {
	verdict error // nil: accepted
	why     string
}

// outcomes are counted, so that no vector is refused for a mistake of the test.
type outcomes map[error]int

func (o outcomes) add(err error) {
	for _, known := range []error{ErrTooLarge, ErrNotCompact, ErrEncrypted, ErrBase64, ErrHeaderMember, ErrHeader, ErrCritical, ErrNested, ErrSignature, ErrKeyUse, ErrWeakKey, ErrUnsupportedKey, ErrKey, ErrMixedKeys, ErrDuplicateKey, ErrSymmetricKey, ErrAlgorithm, ErrUnknownKey} {
		if errors.Is(err, known) {
			o[known]++
			return
		}
	}
	o[err]++
}

// run checks the signature of a vector with the one key that is for it. Claims are
// looked at last, and no vector has any: none of the payloads is an object.
func (g *vectorGroup) run(t *testing.T, v *vector) error {
	t.Helper()
	file := g.Public
	if file == nil {
		file = g.Private
	}
	set, skipped, err := ParseKeys(file, KeyPolicy{Symmetric: bytes.Contains(file, []byte(`"oct"`))})
	if err != nil {
		return err
	}
	parsed, err := Parse(token(v.JWS))
	if err != nil {
		return err
	}
	key, err := set.Lookup(parsed.Header.KeyID, Algorithm(parsed.Header.Algorithm))
	if err != nil {
		for _, s := range skipped {
			err = errors.Join(s.Err, err)
		}
		return err
	}
	err = parsed.verifySignature(key)
	if err == nil && b64(string(parsed.payload)) != strings.Split(token(v.JWS), ".")[1] {
		t.Errorf("tc%d: the payload is %q", v.ID, parsed.payload)
	}
	if full := parsed.Verify(key, nil); err == nil && !errors.Is(full, ErrClaims) || err != nil && !errors.Is(full, err) {
		t.Errorf("tc%d: the signature is %v, the token %v", v.ID, err, full)
	}
	return err
}

func runVectors(t *testing.T, name string, others map[int]otherwise, want outcomes) {
	t.Helper()
	file := vectors(t, name)
	got, ran, excused := outcomes{}, 0, 0
	for _, group := range file.Groups {
		for _, v := range group.Tests {
			ran++
			var err error
			if v.JWE != nil {
				_, err = Parse(token(v.JWE))
			} else {
				err = group.run(t, &v)
			}
			got.add(err)
			other, isOther := others[v.ID]
			switch {
			case isOther && !errors.Is(err, other.verdict):
				t.Errorf("tc%d (%s, %s): %v, but of it we say: %s", v.ID, v.Comment, v.Result, err, other.why)
			case isOther && (err == nil) == (v.Result == "valid"):
				t.Errorf("tc%d (%s, %s): needs no excuse", v.ID, v.Comment, v.Result)
			case isOther:
				excused++
			case (err == nil) != (v.Result == "valid"):
				t.Errorf("tc%d (%s) of %s is %s: %v", v.ID, v.Comment, group.Comment, v.Result, err)
			}
		}
	}
	if ran != file.Count || ran == 0 {
		t.Errorf("%d vectors of %d ran", ran, file.Count)
	}
	if excused != len(others) {
		t.Errorf("%d vectors are excused, %d are named", excused, len(others))
	}
	if !maps.Equal(got, want) {
		t.Errorf("the reasons are %v", got)
	}
}

// The vectors that are wrong: each contradicts the RFCs, or a vector beside it.
var wrongSignatureVectors = map[int]otherwise{
	346: {ErrAlgorithm, `its key says "alg":"PS256" and its header PS384: RFC 7517 section 4.4 lets a key have one algorithm`},
	347: {ErrAlgorithm, `its key says "alg":"ES521": there is no such algorithm, RFC 7518 section 3.1 calls it ES512, as the header does`},
	350: {ErrAlgorithm, `the key and the token of tc346, with key_ops`},
	351: {ErrAlgorithm, `the key and the token of tc347, with key_ops`},
	367: {nil, `it is tc357, byte for byte, which is valid; the padding that its name speaks of is not there`},
	370: {nil, `it is tc357, byte for byte, which is valid; the padding that its name speaks of is not there`},
	372: {ErrNotCompact, `it has a "?" in its header: not base64url (RFC 7515 section 2), and tc366, with "####" there, is invalid`},
	373: {ErrNotCompact, `it has a "?" in its payload: not base64url (RFC 7515 section 2), and tc371, with "?" there, is invalid`},
}

func TestV20_WycheproofSignatures(t *testing.T) {
	runVectors(t, "json_web_signature_test.json", wrongSignatureVectors, outcomes{
		nil: 42, ErrSignature: 299, ErrNotCompact: 30, ErrAlgorithm: 15, ErrHeader: 6, ErrKeyUse: 4, ErrUnknownKey: 3, ErrBase64: 2,
	})
}

// What the comments on the wrong vectors say is so.
func TestWrongVectorsAreWrong(t *testing.T) {
	tokens, keys := map[int]string{}, map[int]object{}
	for _, group := range vectors(t, "json_web_signature_test.json").Groups {
		for _, v := range group.Tests {
			tokens[v.ID] = token(v.JWS)
			if group.Public != nil {
				keys[v.ID] = parsed(t, group.Public)
			}
		}
	}
	header := func(id int) object {
		data, err := base64.RawURLEncoding.DecodeString(strings.Split(tokens[id], ".")[0])
		if err != nil {
			t.Fatal(err)
		}
		return parsed(t, data)
	}
	for id, algs := range map[int][2]string{346: {"PS256", "PS384"}, 350: {"PS256", "PS384"}, 347: {"ES521", "ES512"}, 351: {"ES521", "ES512"}} {
		if keys[id]["alg"] != algs[0] || header(id)["alg"] != algs[1] {
			t.Errorf("tc%d: the key says %v, the header %v", id, keys[id]["alg"], header(id)["alg"])
		}
	}
	if tokens[367] != tokens[357] || tokens[370] != tokens[357] {
		t.Error("tc367 or tc370 is not tc357")
	}
	for _, id := range []int{366, 371, 372, 373} {
		if !strings.ContainsAny(tokens[id], "?#") {
			t.Errorf("tc%d is base64url", id)
		}
	}
	// With the algorithms put right, the signatures are good.
	for id, alg := range map[int]string{346: "PS384", 350: "PS384", 347: "ES512", 351: "ES512"} {
		set, _, err := ParseKeys([]byte(text(t, with(keys[id], object{"alg": alg}))), KeyPolicy{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = verify(tokens[id], set.Keys()...)
		expect(t, fmt.Sprint("tc", id), err, ErrClaims)
	}
}

func TestV20_WycheproofKeys(t *testing.T) {
	runVectors(t, "json_web_key_test.json", nil, outcomes{
		nil: 5, ErrWeakKey: 9, ErrAlgorithm: 4, ErrKey: 4, ErrKeyUse: 2, ErrMixedKeys: 1, ErrSignature: 1,
	})
}

// encrypted is why good JWEs are refused.
var encrypted = otherwise{ErrEncrypted, "it is a good JWE: encrypted tokens are not for us (V9)"}

func TestV9_V20_WycheproofCrypto(t *testing.T) {
	runVectors(t, "json_web_crypto_test.json", map[int]otherwise{50: encrypted, 67: encrypted}, outcomes{
		nil: 4, ErrNotCompact: 29, ErrEncrypted: 23, ErrSignature: 14, ErrHeader: 6, ErrUnknownKey: 3, ErrAlgorithm: 2, ErrMixedKeys: 1, ErrWeakKey: 1,
	})
}

func TestV9_WycheproofEncryption(t *testing.T) {
	good := map[int]otherwise{}
	for _, id := range []int{
		1, 23, 28, 29, 30, 31, 32, 33, 34, 35, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 66,
		67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88,
		89, 90, 91, 92, 93, 100, 101, 102, 103, 104, 105, 112, 121, 128, 129, 130, 131, 132, 133, 134, 135,
	} {
		good[id] = encrypted
	}
	runVectors(t, "json_web_encryption_test.json", good, outcomes{ErrEncrypted: 128, ErrNotCompact: 11})
}
