package interop

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A name is no markup in the pages of the demo app, whoever has it.
func TestDemo_NamesAreNoMarkup(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	for _, name := range []string{"alice", "alice@example.com", "<img/src=x>", "<b>bob</b>", "a&lt;b", `"bob"`} {
		for what, token := range map[string]string{
			"own":    d.token(name),
			"acting": d.token(name, "--scope", "sessions:impersonate"),
		} {
			user, plain := name, !strings.ContainsAny(name, `<&"`)
			if what == "acting" {
				user = "carol"
			}
			got, err := d.TryCreate(token, fmt.Sprintf(`{"user_id":%s,"reason":"ticket 4711"}`, quote(user)))
			if err != nil || got.Status != 200 {
				t.Fatalf("%s, %s: %d %s: %v", name, what, got.Status, got.Body, err)
			}
			req, err := http.NewRequest(http.MethodGet, d.URL+"/", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept", "text/html")
			req.Header.Set("Authorization", "Bearer "+got.Text("access_token"))
			page, err := d.Do(req)
			if err != nil || page.Status != 200 || strings.Contains(page.Body, name) != plain || strings.Contains(page.Body, "not shown here") == plain {
				t.Errorf("%s, %s: %d\n%s", name, what, page.Status, page.Body)
			}
		}
	}
}

// token mints a token of the example's other issuer.
func (d *demo) token(subject string, more ...string) string {
	d.t.Helper()
	return d.say(append([]string{
		"token", "--key", ".example/idp.jwk", "--issuer", "https://idp.example.com",
		"--audience", d.URL + "/auth/sessions", "--sub", subject,
	}, more...)...)
}
