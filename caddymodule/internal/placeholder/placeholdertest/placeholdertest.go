// Package placeholdertest tests that no text of a configuration keeps a placeholder.
package placeholdertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/placeholder"
)

// Run sets a placeholder in each text that the configuration can hold, by its type, one
// at a time, and expects provision to replace or to refuse it. kept are the texts, by
// their place, that may keep one, and why.
func Run[T any](t *testing.T, provision func(*T) error, kept map[string]string) {
	t.Helper()
	const name, value = "AUTHSIDECAR_PLACEHOLDERTEST", "a-value"
	t.Setenv(name, value)
	places := places(reflect.TypeFor[T](), "")
	if len(places) == 0 {
		t.Fatal("no texts")
	}
	for _, at := range places {
		if kept[strings.TrimSuffix(at, ".0")] != "" {
			continue
		}
		for text, resolves := range map[string]bool{
			"{env." + name + "}": true, "a{env." + name + "}": true, "{env." + name + "_NOT}": false, "{file./dev/null}": false, "{http.request.host}": false, "{$" + name + "}": false,
		} {
			config := new(T)
			if err := json.Unmarshal(with(at, text), config); err != nil {
				t.Fatal(err)
			}
			err := provision(config)
			var wrong *placeholder.Error
			refused := errors.As(err, &wrong) && wrong.At == strings.TrimSuffix(at, ".0")
			got := find(config, at)
			switch {
			case refused: // by the name of the place
			case !resolves:
				t.Errorf("%s: %s is not refused: %v", at, text, err)
			case got != strings.ReplaceAll(text, "{env."+name+"}", value):
				t.Errorf("%s: %s is neither refused nor replaced: %v, %v", at, text, got, err)
			}
			if err != nil && strings.Contains(err.Error(), value) && refused {
				t.Errorf("%s: the error says what the placeholder gives: %v", at, err)
			}
		}
	}
}

// places returns where a type holds texts: the names of JSON, 0 for an item.
func places(of reflect.Type, at string) (found []string) {
	switch of.Kind() {
	case reflect.Pointer:
		return places(of.Elem(), at)
	case reflect.String:
		return []string{at}
	case reflect.Slice:
		if of.Elem().Kind() != reflect.Uint8 {
			return places(of.Elem(), at+".0")
		}
	case reflect.Map:
		panic(fmt.Sprintf("%s is a map: say here how to find the texts in it", at))
	case reflect.Struct:
		for field := range of.Fields() {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); field.IsExported() || field.Anonymous {
				found = append(found, places(field.Type, strings.Trim(at+"."+name, "."))...)
			}
		}
	default:
	}
	return found
}

// with returns the JSON of a configuration that has a text at a place and nothing else.
func with(at string, text any) []byte {
	for _, name := range slices.Backward(strings.Split(at, ".")) {
		if name == "0" {
			text = []any{text}
		} else {
			text = map[string]any{name: text}
		}
	}
	data, _ := json.Marshal(text) // texts never fail
	return data
}

// find returns the text at a place of a configuration; nil where there is none.
func find(config any, at string) (found any) {
	data, _ := json.Marshal(config)
	_ = json.Unmarshal(data, &found)
	for name := range strings.SplitSeq(at, ".") {
		switch in := found.(type) {
		case map[string]any:
			found = in[name]
		case []any:
			found = in[0]
		}
	}
	return found
}
