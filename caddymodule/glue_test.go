package caddymodule_test

import (
	"reflect"
	"testing"

	"authsidecar/caddymodule/identity"
	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/oauthapi"
)

// What happens is heard of by one interface: a field with a func that returns nothing would be
// a second way back.
func TestObserver_IsTheOneWayBackToTheGlue(t *testing.T) {
	t.Parallel()
	observers := 0
	for _, of := range []reflect.Type{
		reflect.TypeFor[sessions.Manager](), reflect.TypeFor[sessions.Minter](), reflect.TypeFor[bearer.Config](), reflect.TypeFor[httpapi.Config](), reflect.TypeFor[oauthapi.Config](), reflect.TypeFor[identity.Config](),
	} {
		for field := range of.Fields() {
			if field.Type == reflect.TypeFor[sessions.Observer]() {
				observers++
			}
			if field.Type.Kind() == reflect.Func && field.Type.NumOut() == 0 {
				t.Errorf("%s.%s is a hook of its own: make it a method of sessions.Observer", of, field.Name)
			}
		}
	}
	if observers != 4 {
		t.Errorf("%d observers, want those of the manager, the verifier and the endpoints", observers)
	}
}
