package bearer

import (
	"errors"
	"net/http"
	"testing"
)

func TestV23_OneBearerTokenInOneField(t *testing.T) {
	for name, test := range map[string]struct {
		fields []string
		token  string
		err    error
	}{
		"no field":                 {nil, "", ErrNoToken},
		"empty field":              {[]string{""}, "", ErrNoToken},
		"one token":                {[]string{"Bearer abc"}, "abc", nil},
		"scheme in lower case":     {[]string{"bearer abc"}, "abc", nil},
		"scheme in any case":       {[]string{"bEARER abc"}, "abc", nil},
		"several spaces":           {[]string{"Bearer    abc"}, "abc", nil},
		"all that a token may be":  {[]string{"Bearer aZ09-._~+/=="}, "aZ09-._~+/==", nil},
		"no scheme":                {[]string{"abc"}, "", ErrNoToken},
		"no space":                 {[]string{"Bearerabc"}, "", ErrNoToken},
		"space before the scheme":  {[]string{" Bearer abc"}, "", ErrNoToken},
		"another scheme":           {[]string{"Basic YTpi"}, "", ErrNoToken},
		"DPoP":                     {[]string{"DPoP abc"}, "", ErrNoToken},
		"K of Kelvin is no k":      {[]string{"BearerK abc"}, "", ErrNoToken},
		"scheme alone":             {[]string{"Bearer"}, "", ErrMalformed},
		"scheme and spaces":        {[]string{"Bearer   "}, "", ErrMalformed},
		"tab for a space":          {[]string{"Bearer\tabc"}, "", ErrNoToken},
		"tab after the space":      {[]string{"Bearer \tabc"}, "", ErrMalformed},
		"space at the end":         {[]string{"Bearer abc "}, "", ErrMalformed},
		"two tokens":               {[]string{"Bearer abc def"}, "", ErrMalformed},
		"two credentials":          {[]string{"Bearer abc, Bearer def"}, "", ErrMalformed},
		"two schemes":              {[]string{"Bearer abc,Basic YTpi"}, "", ErrMalformed},
		"a parameter":              {[]string{"Bearer token=abc"}, "", ErrMalformed},
		"quoted":                   {[]string{`Bearer "abc"`}, "", ErrMalformed},
		"padding alone":            {[]string{"Bearer =="}, "", ErrMalformed},
		"padding inside":           {[]string{"Bearer a=b"}, "", ErrMalformed},
		"newline":                  {[]string{"Bearer abc\n"}, "", ErrMalformed},
		"letters beyond ASCII":     {[]string{"Bearer äbc"}, "", ErrMalformed},
		"two fields":               {[]string{"Bearer abc", "Bearer abc"}, "", ErrMalformed},
		"two fields, one empty":    {[]string{"Bearer abc", ""}, "", ErrMalformed},
		"two fields, two schemes":  {[]string{"Basic YTpi", "Bearer abc"}, "", ErrMalformed},
		"two fields of no concern": {[]string{"Basic YTpi", "Basic YTpi"}, "", ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			for _, field := range test.fields {
				h.Add("Authorization", field)
			}
			got, err := FromHeader(h)
			if got != test.token || !errors.Is(err, test.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, test.token, test.err)
			}
		})
	}
}
