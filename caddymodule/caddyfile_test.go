package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"authsidecar/caddymodule"
)

var update = flag.Bool("update", false, "write what the adapter says into testdata/adapt")

const separator = "----------\n"

// wrongMark is the comment on the line that the error of a failing Caddyfile has
// to name.
const wrongMark = "# wrong"

// TestAdapt adapts each Caddyfile of testdata/adapt and compares what comes out
// with what stands below it: JSON, or for fail_* the error.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) < 480 {
		t.Fatalf("%d goldens, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".caddyfiletest")
		t.Run(name, func(t *testing.T) {
			input, want := readGolden(t, file)
			got := adaptGolden(t, input, strings.HasPrefix(name, "fail_"))
			if strings.Contains(got, storeSecret) {
				t.Error("the password is repeated")
			}
			if *update {
				writeGolden(t, file, input, got)
				return
			}
			if got != want {
				t.Errorf("adapted to:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func adaptGolden(t *testing.T, input string, fails bool) string {
	t.Helper()
	config, warnings, err := adapt(input)
	if fails {
		if err == nil {
			t.Fatalf("no error, but:\n%s", config)
		}
		wantLine(t, input, err.Error())
		return err.Error() + "\n"
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range warnings {
		t.Errorf("warning: %v", warning)
	}
	wantSameAsJSON(t, config)
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, config, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return pretty.String() + "\n"
}

func adapt(input string) ([]byte, []caddyconfig.Warning, error) {
	return caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), map[string]any{"filename": "Caddyfile"})
}

// wantLine asserts that the error names the one line that the Caddyfile marks,
// and no other.
func wantLine(t *testing.T, input, message string) {
	t.Helper()
	marked := 0
	for i, line := range strings.Split(input, "\n") {
		if strings.HasSuffix(line, wrongMark) {
			if marked != 0 {
				t.Fatal("two lines are marked as wrong")
			}
			marked = i + 1
		}
	}
	if marked == 0 {
		t.Fatal("no line is marked as wrong")
	}
	if place := fmt.Sprintf(", at Caddyfile:%d", marked); strings.Count(message, ", at Caddyfile:") != 1 || !strings.HasSuffix(message+" ", place+" ") && !strings.Contains(message, place+" import chain") {
		t.Errorf("error %q, want it to end in %q", message, place)
	}
}

// wantSameAsJSON asserts that what was adapted is read strictly, as Caddy does,
// into the same handler.
func wantSameAsJSON(t *testing.T, config []byte) {
	t.Helper()
	if err := caddy.StrictUnmarshalJSON(config, new(caddy.Config)); err != nil {
		t.Errorf("not a configuration: %v", err)
	}
	handlers := findHandlers(t, config)
	if len(handlers) == 0 {
		t.Error("no auth_sessions handler")
	}
	for _, raw := range handlers {
		handler := new(caddymodule.Handler)
		if err := caddy.StrictUnmarshalJSON(raw, handler); err != nil {
			t.Errorf("not a handler: %v", err)
			continue
		}
		again, err := json.Marshal(handler)
		if err != nil {
			t.Fatal(err)
		}
		if !sameJSON(t, raw, again) {
			t.Errorf("read and written again it is\n%s\nand was\n%s", again, raw)
		}
	}
}

// findHandlers returns each auth_sessions handler in the configuration, without
// the key that names it.
func findHandlers(t *testing.T, config []byte) (found [][]byte) {
	t.Helper()
	var walk func(any)
	walk = func(value any) {
		switch v := value.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			if v["handler"] == "auth_sessions" {
				delete(v, "handler")
				raw, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, raw)
				return
			}
			for _, item := range v {
				walk(item)
			}
		}
	}
	var all any
	if err := json.Unmarshal(config, &all); err != nil {
		t.Fatal(err)
	}
	walk(all)
	return found
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var texts [2]string
	for i, data := range [][]byte{a, b} {
		var value any
		if err := json.Unmarshal(data, &value); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	return texts[0] == texts[1]
}

func readGolden(t *testing.T, file string) (input, want string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	input, want, ok := strings.Cut(string(data), separator)
	if !ok {
		t.Fatal("no separator")
	}
	return input, want
}

func writeGolden(t *testing.T, file, input, got string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(input+separator+got), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What an operator wrote as a secret is in no message, whatever is wrong with it.
func TestL1_NoErrorRepeatsASecret(t *testing.T) {
	const secret = "hunter2-hunter2-hunter2-hunter2-"
	for _, words := range []string{
		"secret " + secret,
		"secret {env.X} " + secret,
		"secret " + secret + " " + secret,
		"secret x {\n" + secret + "\n}",
		"secret {env.X} {\nsecret " + secret + "\n}",
		"secret {env.X}\nsecret " + secret,
		"secrte " + secret,
		"audience a\nsecret {" + secret + "}",
	} {
		_, _, err := adapt("http://a.example.com {\nauth_sessions {\nissuer https://app.example.com\ntrust https://idp.example.com {\n" + words + "\n}\nallow self\n}\n}\n")
		if err == nil {
			t.Errorf("%s: no error", words)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

// FuzzUnmarshalCaddyfile: whatever stands in the block, it is adapted to what
// JSON reads as the same, or refused with a line.
func FuzzUnmarshalCaddyfile(f *testing.F) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		input, _, _ := strings.Cut(string(data), separator)
		if _, block, ok := strings.Cut(input, "auth_sessions {\n"); ok {
			block, _, _ = strings.Cut(block, "\n\t}\n")
			f.Add(block)
		}
	}
	f.Fuzz(func(t *testing.T, block string) {
		if strings.Contains(block, "import") || strings.Contains(block, "{$") {
			return // both read what is outside
		}
		config, _, err := adapt("http://a.example.com {\n\tauth_sessions {\n" + block + "\n\t}\n}\n")
		if err != nil {
			if strings.Contains(err.Error(), "parsing caddyfile tokens for 'auth_sessions'") && !strings.Contains(err.Error(), ", at Caddyfile:") {
				t.Errorf("no line: %v", err)
			}
			return
		}
		for _, raw := range findHandlers(t, config) {
			if err := caddy.StrictUnmarshalJSON(raw, new(caddymodule.Handler)); err != nil {
				t.Errorf("adapted to what cannot be read: %v\n%s", err, raw)
			}
		}
	})
}
