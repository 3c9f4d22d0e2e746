package interop

import (
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// spaScript is what an ordinary single-page app does with sessions.
const spaScript = `
const call = async (method, path, token, body) => {
	const headers = token ? {authorization: "Bearer " + token} : {};
	if (body) headers["content-type"] = "application/json";
	const response = await fetch(api + "/auth/sessions" + path, {method, headers, body: body && JSON.stringify(body)});
	return {status: response.status, body: await response.json(), challenge: response.headers.get("www-authenticate")};
};
const steps = {};
try {
	steps.create = await call("POST", "", token, {user_id: "alice"});
	steps.refresh = await call("POST", "/current/refresh", null, {refresh_token: steps.create.body.refresh_token});
	const access = steps.refresh.body.access_token;
	steps.list = await call("GET", "?user_id=alice", access);
	steps.refused = await call("POST", "", token, {user_id: "bob"});
	steps.revoke = await call("DELETE", "/" + steps.create.body.session_id, access);
	steps.over = await call("GET", "/current", access);
	steps.keys = await call("GET", "/jwks.json");
} catch (error) {
	steps.error = String(error);
}
return steps;`

type spaStep struct {
	Status    int
	Body      map[string]any
	Challenge string
}

type spaSteps struct {
	Create, Refresh, List, Refused, Revoke, Over, Keys spaStep
	Error                                              string
}

// TestCORS_AnAppOfAnotherOriginCreatesRefreshesListsAndRevokes runs a page in Chromium. Its errors
// can be read; a page that is not named gets nothing.
func TestCORS_AnAppOfAnotherOriginCreatesRefreshesListsAndRevokes(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	spa, evil := page(t), page(t)
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Start(provider.Site(s, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tcors "+spa))
	script := "const api = " + quote(s.URL) + ", token = " + quote(provider.Token("alice", nil)) + ";" + spaScript

	b.visit(spa)
	got := run[spaSteps](b, script)
	if got.Error != "" {
		t.Fatal(got.Error)
	}
	for _, text := range []string{"refresh_token", "access_token"} {
		for _, step := range []spaStep{got.Create, got.Refresh} {
			token, _ := step.Body[text].(string)
			sidecartest.Remember(token)
		}
	}
	for name, step := range map[string]struct {
		got    spaStep
		status int
	}{
		"create": {got.Create, 200}, "refresh": {got.Refresh, 200}, "list": {got.List, 200}, "refused": {got.Refused, 403},
		"revoke": {got.Revoke, 200}, "over": {got.Over, 401}, "keys": {got.Keys, 200},
	} {
		if step.got.Status != step.status {
			t.Errorf("%s: %d %v, want %d", name, step.got.Status, step.got.Body, step.status)
		}
	}
	if got.Refused.Body["code"] != "insufficient_scope" || got.Refused.Challenge == "" || got.Over.Body["code"] != "invalid_token" {
		t.Errorf("errors: %v, %v", got.Refused, got.Over)
	}
	if items, _ := got.List.Body["items"].([]any); len(items) != 1 {
		t.Errorf("list: %v", got.List.Body)
	}

	b.visit(evil)
	refused := run[spaSteps](b, script)
	if refused.Error != "TypeError: Failed to fetch" || refused.Create.Status != 0 {
		t.Errorf("another origin: %+v", refused)
	}
	list := s.Call("GET", "?user_id=alice", provider.Token("alice", nil), "")
	if items, _ := list.Fields["items"].([]any); len(items) != 0 {
		t.Errorf("another origin created a session: %s", list.Body)
	}
}
