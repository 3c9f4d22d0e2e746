package forward

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"authsidecar/sessions"
)

func TestNames_WhatAnAppCouldTakeForOurs(t *testing.T) {
	n := NewNames([]string{"X-Auth-User", "X-Auth-Session"})
	for name, want := range map[string]bool{
		"X-Auth-User": true, "x-auth-user": true, "X_AUTH_USER": true, "X.Auth-user": true, "X-Auth_Session": true, "X~Auth!User": true,
		"X-Auth-Users": false, "XAuth-User": false, "": false, "X-Auth-User ": false, strings.Repeat("X", 300): false,
	} {
		if n.Has(name) != want {
			t.Errorf("%q: %t", name, !want)
		}
	}
}

func TestU2_ListsKeepWhatIsNotOurs(t *testing.T) {
	n := NewNames([]string{"X-Auth-User"})
	for _, c := range []struct{ name, is, want string }{
		{"Connection", "close, X-Auth-User", "close"},
		{"Connection", "x-auth-user", ""},
		{"Connection", "Upgrade,X_Auth_User , keep-alive", "Upgrade, keep-alive"},
		{"Connection", "X-Auth-User;q=1, \"X-Auth-User\", TE", "TE"},
		{"Connection", "keep-alive, Upgrade", "keep-alive, Upgrade"},
		{"Te", "trailers", "trailers"},
		{"Trailer", "X-Auth-User, X-Other", "X-Other"},
	} {
		r := &http.Request{Header: http.Header{c.name: {c.is}}}
		n.Scrub(r, nil)
		if got := strings.Join(r.Header[c.name], "|"); got != c.want {
			t.Errorf("%s: %s becomes %q, want %q", c.name, c.is, got, c.want)
		}
	}
}

func TestScrub_AllocatesNothingForOthersRequests(t *testing.T) {
	n := NewNames([]string{"X-Auth-User", "X-Auth-Session", "X-Auth-Actor"})
	r := &http.Request{Header: http.Header{"Connection": {"keep-alive, Upgrade"}, "Accept": {"*/*"}, "X-Auth-Userx": {"1"}, "Cookie": {"a=b"}}}
	if allocated := testing.AllocsPerRun(100, func() { n.Scrub(r, nil) }); allocated > 0 {
		t.Errorf("%v allocations", allocated)
	}
}

func FuzzU4_Encode(f *testing.F) {
	for _, seed := range []string{"alice", "a b", "100%", "zoë", "\x00\r\n", "日本", "%41", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := Encode(value)
		for i := range len(got) {
			if got[i] <= ' ' || got[i] >= 0x7f {
				t.Fatalf("%q has %q", got, got[i])
			}
		}
		if back, err := url.PathUnescape(got); err != nil || back != value {
			t.Fatalf("%q becomes %q, which is %q again: %v", value, got, back, err)
		}
	})
}

func unsigned(header, claims string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func TestClaims_WhatSaysThatItIsOurs(t *testing.T) {
	const issuer = "https://app.example.com"
	access := unsigned(`{"typ":"at+jwt"}`, `{"iss":"https://app.example.com"}`)
	refresh := unsigned(`{"typ":"application/RT+JWT"}`, `{"iss":"https://app.example.com"}`)
	for token, want := range map[string][2]bool{
		access:                                {true, false},
		refresh:                               {true, true},
		refresh + "==":                        {true, true},
		access + ".more":                      {true, false},
		strings.Replace(access, ".", "..", 1): {true, false},
		"foo." + refresh:                      {true, true},
		"a.b.c." + access:                     {true, false},
		unsigned(`{}`, `{"iss":"https://other.example.com"}`): {false, false},
		unsigned(`{}`, `{"iss":7}`):                           {false, false},
		"abc":                                                 {false, false},
		"":                                                    {false, false},
	} {
		if ours, isRefresh := ClaimsIssuer(token, issuer); ours != want[0] || isRefresh != want[1] {
			t.Errorf("%s: %t, %t; want %v", token, ours, isRefresh, want)
		}
	}
	for value, want := range map[string]bool{
		"Bearer " + access: true, access: true, "Token token=\"" + refresh + "\"": true, "DPoP a,b " + access: true, "Basic YTpi": false, "Bearer abc": false,
	} {
		r := &http.Request{Header: http.Header{"Authorization": {"Basic x", value}}}
		if HasSmuggledToken(r, issuer) != want {
			t.Errorf("%s: %t", value, !want)
		}
	}
}

func TestDropCookies(t *testing.T) {
	const issuer = "https://app.example.com"
	refresh := unsigned(`{"typ":"rt+jwt"}`, `{"iss":"https://app.example.com"}`)
	access := unsigned(`{"typ":"at+jwt"}`, `{"iss":"https://app.example.com"}`)
	for _, c := range []struct {
		is, want string
		drop     bool
	}{
		{"a=b; c=d", "a=b; c=d", false},
		{"a=b; r=" + refresh + "; c=d", "a=b; c=d", false},
		{"r=" + refresh, "", false},
		{"a=b; session=eyJx", "a=b; session=eyJx", false},
		{"a=b; session=x", "a=b", true},
		{"a=b; session=" + access + "; c=\"d,e\";f", "a=b; c=\"d,e\";f", false},
		{"session=\"" + access + "\"; a=b", "a=b", false},
		{"session=\"" + access + "; a=b", "a=b", false},
		{"a=b; session = " + access, "a=b", false},
		{"a=b; session=" + access + "; session=x", "a=b; session=x", false},
		{"session=" + access + "; a=b; session=\"x\"; session", "a=b", true},
		{"session=" + strings.Replace(access, ".e", ".%65", 1) + "; a=b", "a=b", false},
		{"session=" + strings.ReplaceAll(access, ".", "%2E") + "; a=b%", "a=b%", false},
		{"a=100%; x=" + strings.Replace(refresh, ".e", ".%65", 1), "a=100%", false},
		{"session[]=" + access + "; a=b", "a=b", false},
		{"session=" + access + "\\; a=b", "a=b", false},
		{"session=" + access + "\"; a=b", "a=b", false},
		{"Session=" + access + "; sessions=" + access, "Session=" + access + "; sessions=" + access, false},
	} {
		r := &http.Request{Header: http.Header{"Cookie": {c.is}}}
		DropCookies(r, issuer, "session", "", c.drop)
		if got := strings.Join(r.Header["Cookie"], "|"); got != c.want {
			t.Errorf("%s becomes %q, want %q", c.is, got, c.want)
		}
	}
}

func TestDropCookies_TheOneThatDecidedStays(t *testing.T) {
	const issuer = "https://app.example.com"
	decided := unsigned(`{"typ":"at+jwt"}`, `{"iss":"https://app.example.com","sid":"1"}`)
	other := unsigned(`{"typ":"at+jwt"}`, `{"iss":"https://app.example.com","sid":"2"}`)
	r := &http.Request{Header: http.Header{"Cookie": {"session=" + other + "; session=" + decided + "; session=" + strings.Replace(other, ".e", ".%65", 1)}}}
	DropCookies(r, issuer, "session", decided, false)
	if got := strings.Join(r.Header["Cookie"], "|"); got != "session="+decided {
		t.Errorf("left: %q", got)
	}
}

func TestDropCookies_NamesThatPHPReadsAsOurs(t *testing.T) {
	const issuer = "https://app.example.com"
	access := unsigned(`{"typ":"at+jwt"}`, `{"iss":"https://app.example.com"}`)
	for name, dropped := range map[string]bool{
		"access_token": true, "access.token": true, "access token": true, "access[token": true, "access%5Ftoken": true, "access%2Etoken": true, "access_token[]": true,
		"access.token[x]": true, "%20access_token": true, "access_token%00x": true, "access-token": false, "access_tokens": false, "access": false, "x[access_token]": false,
	} {
		r := &http.Request{Header: http.Header{"Cookie": {"a=b; " + name + "=" + access}}}
		DropCookies(r, issuer, "access_token", "", false)
		if got := !strings.Contains(strings.Join(r.Header["Cookie"], ""), access); got != dropped {
			t.Errorf("%s: dropped %t, want %t", name, got, dropped)
		}
	}
}

func TestOf_TheAppLearnsWhoIsAsking(t *testing.T) {
	const idp = "https://idp.example.com"
	desk := sessions.Principal{Issuer: idp, Subject: "desk"}
	own := sessions.Caller{Principal: sessions.Principal{Issuer: "https://app.example.com", Subject: "alice"}, Own: true, SessionID: "s", ClientID: "c"}
	acted := own
	acted.Acting, acted.Actor, acted.Claims = true, desk, sessions.Claims{"reason": "ticket"}
	user := sessions.Caller{Principal: sessions.Principal{Issuer: idp, Subject: "bob"}, User: true, ClientID: "web"}
	service := user
	service.ClientID = "bob"
	stranger := user
	stranger.User = false
	delegated := user
	delegated.Acting, delegated.Actor = true, desk
	relayed := delegated
	relayed.Claims = sessions.Claims{"gty": "client-credentials"}
	app := user
	app.Claims = sessions.Claims{"idtyp": "app"}
	for name, c := range map[string]struct {
		caller *sessions.Caller
		want   Who
	}{
		"a user's own session":      {&own, Who{UserID: "alice", SessionID: "s", ClientID: "c"}},
		"an impersonation":          {&acted, Who{UserID: "alice", SessionID: "s", ClientID: "c", Actor: desk, Impersonation: true, Reason: "ticket"}},
		"a user with his own token": {&user, Who{UserID: "bob", ClientID: "web"}},
		"a service":                 {&service, Who{ClientID: "bob", Actor: user.Principal}},
		"a subject that is no user": {&stranger, Who{ClientID: "web", Actor: user.Principal}},
		"delegation elsewhere":      {&delegated, Who{UserID: "bob", ClientID: "web", Actor: desk, Impersonation: true}},
		"who acts for a machine":    {&relayed, Who{ClientID: "web", Actor: desk, Impersonation: true}},
		"an app":                    {&app, Who{ClientID: "web", Actor: user.Principal}},
	} {
		if got := Of(c.caller); *got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestCrossSite_SafeRequestsFromAnywhere(t *testing.T) {
	for _, c := range []struct {
		method string
		header http.Header
		want   bool
	}{
		{"GET", http.Header{"Sec-Fetch-Site": {"cross-site"}}, false},
		{"GET", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Upgrade": {"websocket"}}, true},
		{"CONNECT", http.Header{"Origin": {"https://evil.example.com"}}, true},
		{"POST", http.Header{"Sec-Fetch-Site": {"same-origin"}}, false},
		{"PATCH", http.Header{"Sec-Fetch-Site": {"same-site"}}, true},
		{"POST", http.Header{"Origin": {"https://app.example.com"}}, false},
		{"POST", http.Header{}, true},
		{"GET", http.Header{}, false},
		{"GET", http.Header{"Upgrade": {"websocket"}}, true},
		{"BREW", http.Header{"Sec-Fetch-Site": {"cross-site"}}, true},
	} {
		r := &http.Request{Method: c.method, Host: "app.example.com", Header: c.header, URL: &url.URL{Path: "/"}}
		if CrossSite(r) != c.want {
			t.Errorf("%s %v: %t", c.method, c.header, !c.want)
		}
	}
}

// An app that splits a header at its commas never gets a list that the token has not.
func FuzzU4_OnlyTheItemsOfAnArrayAreAList(f *testing.F) {
	f.Add("x,admin", "y")
	f.Add("%2C", ",")
	f.Fuzz(func(t *testing.T, first, second string) {
		for _, items := range [][]any{{first}, {first, second}} {
			parts := strings.Split(render(items), ",")
			for i, part := range parts {
				if back, err := url.PathUnescape(part); err != nil || len(parts) != len(items) || back != items[i] {
					t.Fatalf("%q is rendered as %q", items, parts)
				}
			}
		}
		if got := render(first); strings.Contains(got, ",") {
			t.Fatalf("%q is rendered as %q", first, got)
		}
	})
}

func TestField_Render(t *testing.T) {
	w, claims := new(Who), sessions.Claims{
		"text": "x,admin", "two": []any{"x", "admin"}, "one": []any{"x,admin"}, "pair": map[string]any{"a": "x", "b": "y"},
		"list": []any{"a", "b,c", 1.5, nil, map[string]any{"x": "y"}}, "empty": []any{}, "object": map[string]any{"a b": int64(1)}, "null": nil,
	}
	got := []string{Field("list").Value(w, claims), Field("empty").Value(w, claims), Field("object").Value(w, claims), Field("null").Value(w, claims), Field("/object/a b").Value(w, claims), Field("none").Value(w, claims)}
	want := []string{`a,b%2Cc,1.5,null,{"x":"y"}`, "", `{"a%20b":1}`, "", "1", ""}
	for field, value := range map[Field]string{"text": "x%2Cadmin", "two": "x,admin", "one": "x%2Cadmin", "pair": `{"a":"x"%2C"b":"y"}`} {
		got, want = append(got, field.Value(w, claims)), append(want, value)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
