package placeholder

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// setUp sets what the tests look up, and returns the folder of its files.
func setUp(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"line": "a line\r\n", "names": "root\nadmin-*\n", "empty": "", "blank": " \n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"ONE": "one", "TWO": "two words", "EMPTY": "", "BLANK": "  ", "NESTED": "{env.ONE}", "BRACES": "}{", "COMMAS": "a,b", "SECRET": "hunter2",
	} {
		t.Setenv("PH_"+name, value)
	}
	return dir
}

func TestResolve(t *testing.T) {
	dir := setUp(t)
	for text, want := range map[string]string{
		"": "", "plain": "plain", "{env.PH_ONE}": "one", "a/{env.PH_ONE}/b{env.PH_ONE}": "a/one/bone", "{env.PH_TWO}": "two words",
		"{file." + dir + "/line}": "a line", `\{x\}`: "{x}", "{env.PH_BRACES}": "}{", `\{{env.PH_ONE}\}`: "{one}",
	} {
		if got, err := Resolve(text); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"{env.PH_NONE}": "{env.PH_NONE} gives nothing", "{env.PH_EMPTY}": "gives nothing", "x{env.PH_EMPTY}y": "gives nothing", "{env.PH_BLANK}": "gives nothing",
		"{file." + dir + "/none}": "gives nothing", "{file." + dir + "/empty}": "gives nothing", "{file." + dir + "/blank}": "gives nothing", "{env.PH_NESTED}": "gives another one",
		"{http.request.host}": "when Caddy starts", "{system.hostname}": "when Caddy starts", "{time.now}": "when Caddy starts", "{env.}": "when Caddy starts", "{}": "when Caddy starts", "{": "when Caddy starts", "}": "when Caddy starts", "{$PH_ONE}": "when Caddy starts",
		"{env.PH_ONE": "when Caddy starts", "{{env.PH_ONE}}": "when Caddy starts", "{env.PH_SECRET}{": "when Caddy starts", "hunter2{": "when Caddy starts", "hunter2{env.PH_NONE}": "gives nothing",
	} {
		got, err := Resolve(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") || got != "" && got != text {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

func TestResolveList(t *testing.T) {
	dir := setUp(t)
	for _, tt := range []struct{ is, want []string }{
		{nil, []string{}},
		{[]string{"a b", "c"}, []string{"a b", "c"}},
		{[]string{"x", "{env.PH_TWO}", "y"}, []string{"x", "two", "words", "y"}},
		{[]string{"{file." + dir + "/names}"}, []string{"root", "admin-*"}},
		{[]string{"a/{env.PH_ONE}"}, []string{"a/one"}},
	} {
		if got, err := resolveList(tt.is); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, %v", tt.is, got, err)
		}
	}
	for text, want := range map[string]error{"{env.PH_COMMAS}": errCommas, "a/{env.PH_TWO}": errSeveral, "{env.PH_ONE}{env.PH_TWO}": errSeveral, "{x}": errUnknown} {
		if got, err := resolveList([]string{text}); !errors.Is(err, want) {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

type inner struct {
	Text  string   `json:"text" placeholders:"resolve"`
	List  []string `json:"list" placeholders:"resolve"`
	Other string   `json:"other"`
}

type outer struct {
	inner
	Inner   inner    `json:"inner"`
	Pointer *inner   `json:"pointer"`
	Many    []*inner `json:"many"`
	Names   []string `json:"names"`
	Request string   `json:"request" placeholders:"request"`
	Code    string   `json:"code" placeholders:"code"`
	Secret  string   `json:"secret" placeholders:"secret"`
	Number  int      `json:"number"`
	Raw     []byte   `json:"raw"`
	hidden  string
}

func TestResolveAll_WhatTheTagsSay(t *testing.T) {
	setUp(t)
	config := &outer{
		inner: inner{Text: "{env.PH_ONE}"}, Inner: inner{Text: "{env.PH_ONE}", List: []string{"{env.PH_TWO}"}}, Pointer: &inner{Text: "{env.PH_ONE}"}, Many: []*inner{nil, {List: []string{}}},
		Request: "/login?{env.PH_ONE}={http.request.uri}", Code: `caller == {"a": {"b": 1}} && caller.x == "{}"`, Secret: "{env.PH_SECRET}", Raw: []byte("{env.PH_ONE}"), hidden: "{",
	}
	if err := Check(config); err != nil {
		t.Error(err)
	}
	if err := ResolveAll(config); err != nil {
		t.Fatal(err)
	}
	want := &outer{
		inner: inner{Text: "one"}, Inner: inner{Text: "one", List: []string{"two", "words"}}, Pointer: &inner{Text: "one"}, Many: []*inner{nil, {List: []string{}}},
		Request: "/login?one={http.request.uri}", Code: config.Code, Secret: "{env.PH_SECRET}", Raw: []byte("{env.PH_ONE}"), hidden: "{",
	}
	if !reflect.DeepEqual(config, want) {
		t.Errorf("%+v, want %+v", config, want)
	}
}

func TestResolveAll_NamesThePlace(t *testing.T) {
	setUp(t)
	for _, tt := range []struct {
		config outer
		at     string
		early  bool // without a look at the environment
	}{
		{outer{inner: inner{Other: "{"}}, "other", true},
		{outer{Names: []string{"a", "{env.PH_ONE}"}}, "names", true},
		{outer{Many: []*inner{{}, {Other: "{env.PH_ONE}"}}}, "many.1.other", true},
		{outer{Inner: inner{Other: "a}"}}, "inner.other", true},
		{outer{Pointer: &inner{Text: "{http.request.host}"}}, "pointer.text", true},
		{outer{Code: `caller.x == "{env.PH_ONE}"`}, "code", true},
		{outer{Code: `caller.x == "{http.request.host}"`}, "code", true},
		{outer{Inner: inner{List: []string{"{env.PH_NONE}"}}}, "inner.list", false},
		{outer{Request: "/{env.PH_NONE}"}, "request", false},
	} {
		var wrong *Error
		if err := Check(&tt.config); (err != nil) != tt.early || tt.early && (!errors.As(err, &wrong) || wrong.At != tt.at) {
			t.Errorf("%s: %v", tt.at, err)
		}
		if err := ResolveAll(&tt.config); !errors.As(err, &wrong) || wrong.At != tt.at {
			t.Errorf("%s: %v", tt.at, err)
		}
	}
}
