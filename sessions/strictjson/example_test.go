package strictjson_test

import (
	"fmt"

	"authsidecar/sessions/strictjson"
)

// What two parsers could read in two ways is an error.
func Example() {
	claims, err := strictjson.Object([]byte(`{"sub":"alice","iat":1772625600,"weight":1.5}`), 8)
	fmt.Printf("%T %T %v\n", claims["iat"], claims["weight"], err)

	for _, text := range []string{`{"sub":"alice","sub":"root"}`, `{"sub":"alice"} {}`, `{"a":{"b":{"c":1}}}`, `["alice"]`} {
		_, err := strictjson.Object([]byte(text), 2)
		fmt.Println(err)
	}
	// Output:
	// int64 float64 <nil>
	// JSON object has a name twice
	// data after the JSON value
	// JSON is nested too deep
	// JSON value is not an object
}
