package httpapi

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
)

// A body that is refused says which member is wrong; what may be a token is not repeated.
func TestCreate_NamesTheMemberThatIsWrong(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"user_id":"alice","foo":1}`:                             "There is no member foo: send one JSON object with user_id, ",
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
		`{"user_id":"alice","client":{"ip":"::1","ip":"::2"}}`:    "An object in the body has a member twice: ",
		`{"reason":"x"}`:                                          "user_id is missing",
		`{}`:                                                      "user_id is missing",
		`{"user_id":"alice","eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOi":1}`: "The body has a member that is not known here: ",
		`{"user_id":"alice","` + strings.Repeat("a", 33) + `":1}`: "The body has a member that is not known here: ",
	} {
		_, _, err := parseCreate(httptest.NewRequest("POST", "/auth/sessions", nil), []byte(body))
		var problem *Problem
		if !errors.As(err, &problem) || problem.Status != 400 || problem.Code != "invalid_request" || !strings.HasPrefix(problem.Detail, want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

// Each fault of a body has its own sentence, at every endpoint that reads JSON, and nothing of the
// body is in it.
func TestBody_SaysWhatIsWrongWithTheJSON(t *testing.T) {
	t.Parallel()
	for _, at := range []struct {
		path, member, want string
	}{
		{"/auth/sessions", "user_id", createShape.want},
		{"/auth/sessions/current/refresh", "refresh_token", holderShape.want},
	} {
		for body, want := range map[string]string{
			"":                                   "The body is empty",
			" \r\n":                              "The body is empty",
			`{"NAME":"secret"`:                   "The body is not valid JSON",
			`NAME=secret`:                        "The body is not valid JSON",
			`{'NAME':'secret'}`:                  "The body is not valid JSON",
			`{"NAME":"secret",}`:                 "The body is not valid JSON",
			`{"NAME":"secret"}}`:                 "Something follows the JSON value in the body",
			`{"NAME":"secret"}{}`:                "Something follows the JSON value in the body",
			"\xef\xbb\xbf" + `{"NAME":"secret"}`: "The body has another encoding than UTF-8, a byte order mark, or half of a surrogate pair",
			`{"NAME":"secret` + "\xe9" + `"}`:    "The body has another encoding than UTF-8, a byte order mark, or half of a surrogate pair",
			`{"NAME":"secret\ud800"}`:            "The body has another encoding than UTF-8, a byte order mark, or half of a surrogate pair",
			`["secret"]`:                         "The body is JSON, but not an object",
			`"secret"`:                           "The body is JSON, but not an object",
			`null`:                               "The body is JSON, but not an object",
			`{"NAME":"secret","NAME":"secret"}`:  "An object in the body has a member twice",
			`{"NAME":"secret","\u0073":1,"s":2}`: "An object in the body has a member twice",
			`{"NAME":{"a":{"a":{"a":{"secret":1}}}}}`: "The JSON in the body is nested too deep",
			`{"NAME":"secret","other":1}`:             "There is no member other",
			`{"NAME":"secret","secret!":1}`:           "The body has a member that is not known here",
		} {
			f := newFixture(t)
			got := f.overHTTP(t, at.path, strings.ReplaceAll(body, "NAME", at.member))
			if got.Code != 400 || code(t, got) != "invalid_request" || strings.Contains(got.Body.String(), "secret") ||
				!strings.Contains(got.Body.String(), `"detail":"`+want+": send "+at.want+`"`) {
				t.Errorf("%s: %q: %d %s, want %q", at.path, body, got.Code, got.Body, want)
			}
		}
		f := newFixture(t)
		if got := f.overHTTP(t, at.path, `{}`); !strings.Contains(got.Body.String(), at.member+" is missing") {
			t.Errorf("%s: %s", at.path, got.Body)
		}
		if got := f.overHTTP(t, at.path, `{"`+at.member+`":7}`); !strings.Contains(got.Body.String(), at.member+" must be a string.") {
			t.Errorf("%s: %s", at.path, got.Body)
		}
	}
}

func TestBody_ThatEndsTooEarlySaysSo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, path := range []string{"/auth/sessions", "/auth/sessions/current/refresh"} {
		r := httptest.NewRequest("POST", path, iotest.ErrReader(io.ErrUnexpectedEOF))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+f.token)
		w := httptest.NewRecorder()
		f.api.Serve(w, r, f.api.Route(r))
		if code(t, w) != "invalid_request" || w.Code != 400 || !strings.Contains(w.Body.String(), `"detail":"The body ended too early, `) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
