package placeholder

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// An Error is an error in the placeholders of a configuration.
type Error struct {
	// At is the place: JSON names and indexes separated by dots, as in trust.0.audience.
	At  string
	Err error
}

func (e *Error) Error() string {
	return strings.ReplaceAll(e.At, ".", " ") + ": " + e.Err.Error()
}

// Unwrap returns the error without the place.
func (e *Error) Unwrap() error { return e.Err }

// Check checks for placeholders that will not be resolved, in all strings of a configuration, which
// is a pointer to a struct. It reads neither the environment nor files. The error is an *Error.
func Check(config any) error {
	return walk(reflect.ValueOf(config), "", "", func(text reflect.Value, tag string) error {
		return each(text, func(s string) error { return checkAs(tag, s) })
	})
}

// ResolveAll replaces placeholders in all strings of a configuration whose tags allow them, and
// refuses them in all others. The error is an *Error.
func ResolveAll(config any) error {
	return walk(reflect.ValueOf(config), "", "", func(text reflect.Value, tag string) error {
		if err := each(text, func(s string) error { return checkAs(tag, s) }); err != nil || tag != "resolve" && tag != "request" {
			return err
		}
		if list, isList := reflect.TypeAssert[[]string](text); isList {
			resolved, err := resolveList(list)
			if list != nil { // nil and empty differ
				text.Set(reflect.ValueOf(resolved))
			}
			return err
		}
		resolved, err := resolveAs(tag, text.String())
		text.SetString(resolved)
		return err
	})
}

func checkAs(tag, text string) error {
	switch {
	case tag == "resolve":
		return check(text)
	case tag == "code" && likelyPlaceholder.MatchString(text), tag == "" && In(text):
		return ErrRefused
	}
	return nil
}

// resolveAs resolves a string as its tag says, and leaves placeholders of requests alone.
func resolveAs(tag, text string) (string, error) {
	if tag != "request" {
		return Resolve(text)
	}
	var failed error
	resolved := known.ReplaceAllStringFunc(text, func(part string) string {
		value, err := Resolve(part)
		if err != nil {
			failed = err
		}
		return value
	})
	return resolved, failed
}

// each calls look with the string, or with each in a list.
func each(text reflect.Value, look func(string) error) error {
	if text.Kind() == reflect.String {
		return look(text.String())
	}
	for i := range text.Len() {
		if err := look(text.Index(i).String()); err != nil {
			return err
		}
	}
	return nil
}

// walk calls visit with each string, and each list of strings, in a configuration, and with the tag
// of its field.
func walk(v reflect.Value, at, tag string, visit func(text reflect.Value, tag string) error) error {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return walk(v.Elem(), at, tag, visit)
	case reflect.Struct:
		return walkStruct(v, at, visit)
	case reflect.String:
		return atPlace(at, visit(v, tag))
	case reflect.Slice:
		switch {
		case v.Type() == reflect.TypeFor[[]string]():
			return atPlace(at, visit(v, tag))
		case v.Type().Elem().Kind() == reflect.Uint8: // JSON of a module, which checks it itself
			return nil
		}
		for i := range v.Len() {
			if err := walk(v.Index(i), join(at, strconv.Itoa(i)), tag, visit); err != nil {
				return err
			}
		}
	case reflect.Bool, reflect.Int, reflect.Int64:
	default:
		panic(fmt.Sprintf("placeholder: %s is a %s: say here how to find the texts in it", at, v.Type()))
	}
	return nil
}

func walkStruct(v reflect.Value, at string, visit func(reflect.Value, string) error) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() && !field.Anonymous || name == "-" {
			continue // not a JSON field
		}
		if err := walk(v.Field(i), join(at, name), field.Tag.Get("placeholders"), visit); err != nil {
			return err
		}
	}
	return nil
}

func join(at, name string) string { return strings.Trim(at+"."+name, ".") }

func atPlace(at string, err error) error {
	if err != nil {
		return &Error{At: at, Err: err}
	}
	return nil
}
