// Package placeholdertest tests that no text of a configuration keeps a placeholder.
package placeholdertest

import (
	"errors"
	"fmt"
	"reflect"
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
		if kept[at] != "" {
			continue
		}
		for text, resolves := range map[string]bool{
			"{env." + name + "}": true, "a{env." + name + "}": true, "{env." + name + "_NOT}": false, "{file./dev/null}": false, "{http.request.host}": false, "{$" + name + "}": false,
		} {
			config := new(T)
			err := provision(set(config, at, text))
			var wrong *placeholder.Error
			refused := errors.As(err, &wrong) && wrong.At == at
			got := find(reflect.ValueOf(config).Elem(), at).String()
			switch {
			case refused: // by the name of the place
			case !resolves:
				t.Errorf("%s: %s is not refused: %v", at, text, err)
			case got != strings.ReplaceAll(text, "{env."+name+"}", value):
				t.Errorf("%s: %s is neither refused nor replaced: %q, %v", at, text, got, err)
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
		if of.Elem().Kind() == reflect.String {
			return []string{at}
		}
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

// set makes the way to the place and puts the text there.
func set[T any](config *T, at, text string) *T {
	find(reflect.ValueOf(config).Elem(), at).SetString(text)
	return config
}

// find returns the text at the place, and makes the way there.
func find(v reflect.Value, at string) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return find(v.Elem(), at)
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		_, rest, _ := strings.Cut(at, ".") // without the number
		return find(v.Index(0), rest)
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			switch {
			case name == "" && v.Type().Field(i).Anonymous:
				if inner := find(v.Field(i), at); inner.IsValid() {
					return inner
				}
			case at == name:
				return find(v.Field(i), "")
			case name != "" && strings.HasPrefix(at, name+"."):
				return find(v.Field(i), at[len(name)+1:])
			}
		}
		return reflect.Value{}
	default:
		return v
	}
}
