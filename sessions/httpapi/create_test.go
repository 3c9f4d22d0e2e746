package httpapi

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
)

// A body that is refused says which member is wrong; what may be a token is not repeated.
func TestCreate_NamesTheMemberThatIsWrong(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"user_id":"alice","foo":1}`:                             "There is no member foo: ",
		`{"user_id":"alice","userId":"bob"}`:                      "There is no member userId: ",
		`{"user_id":"alice","is_impersonation":null}`:             "is_impersonation must be true or false.",
		`{"user_id":"alice","is_impersonation":"true"}`:           "is_impersonation must be true or false.",
		`{"user_id":null}`:                                        "user_id must be a string.",
		`{"user_id":7}`:                                           "user_id must be a string.",
		`{"user_id":"alice","reason":null}`:                       "reason must be a string.",
		`{"user_id":"alice","client_id":{}}`:                      "client_id must be a string.",
		`{"user_id":"alice","deliver":[]}`:                        "deliver must be a string.",
		`{"user_id":"alice","return_to":7}`:                       "return_to must be a string.",
		`{"user_id":"alice","expires_in_millis":1.5}`:             "expires_in_millis must be a whole number.",
		`{"user_id":"alice","expires_in_millis":null}`:            "expires_in_millis must be a whole number.",
		`{"user_id":"alice","return_to":1}`:                       "return_to must be a string.",
		`{"user_id":"alice","client":null}`:                       "client must be an object with ip, ",
		`{"user_id":"alice","client":"203.0.113.7"}`:              "client must be an object with ip, ",
		`{"user_id":"alice","client":{}}`:                         "client must be an object with ip, ",
		`{"user_id":"alice","client":{"ip":""}}`:                  "client must be an object with ip, ",
		`{"user_id":"alice","client":{"ip":"203.0.113.07"}}`:      "client must be an object with ip, ",
		`{"user_id":"alice","client":{"ip":"203.0.113.7:80"}}`:    "client must be an object with ip, ",
		`{"user_id":"alice","client":{"ip":"10.0.0.0/8"}}`:        "client must be an object with ip, ",
		`{"user_id":"alice","client":{"ip":"fe80::1%eth0"}}`:      "client must be an object with ip, ",
		`{"user_id":"alice","client":{"ip":"app.example.com"}}`:   "client must be an object with ip, ",
		`{"user_id":"alice","client":{"user_agent":"x"}}`:         "client must be an object with ip, ",
		`{"user_id":"alice","client":{"ip":"::1","port":1}}`:      "client must be an object with ip, ",
		`{"user_id":"alice","client":{"ip":"::1","ip":"::2"}}`:    "The body must be one JSON object",
		`{"reason":"x"}`:                                          "user_id is missing",
		`{}`:                                                      "user_id is missing",
		`{"user_id":"alice","eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOi":1}`: "The body must be one JSON object",
		`{"user_id":"alice","` + strings.Repeat("a", 33) + `":1}`: "The body must be one JSON object",
		`{"user_id":"alice","user_id":"bob"}`:                     "The body must be one JSON object",
		`[]`:                                                      "The body must be one JSON object",
		`{"user_id":"alice"`:                                      "The body must be one JSON object",
	} {
		_, _, err := parseCreate(httptest.NewRequest("POST", "/auth/sessions", nil), []byte(body))
		var problem *Problem
		if !errors.As(err, &problem) || problem.Status != 400 || problem.Code != "invalid_request" || !strings.HasPrefix(problem.Detail, want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}
