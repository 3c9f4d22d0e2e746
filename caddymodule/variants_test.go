package caddymodule_test

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/urlpath/pathtest"
)

// pathVariants are paths that servers read in several ways, and some canonical ones.
var pathVariants = []string{
	"/public/x", "/public/M%C3%A4rz%202026.pdf", "/admin/users", "/billing/pay", "/account/delete", "/x.css", "/other",
	"//public/admin/users", "//x/admin/users", "///x/admin/users", "//public/../admin", "/public//admin", "//admin/users",
	"/admin/../public/x", "/admin/users/../../public/x", "/admin/./../public/x", "/public/../admin/users", "/public/./x", "/public/x/..", "/..//public/../admin/users",
	"/admin/%2e%2e/public/x", "/admin/.%2e/public/x", "/public/%2e%2e/admin/users", "/public/%2E./admin/users", "/public/%252e%252e/admin/users",
	"/admin%2f..%2f..%2fpublic/x", "/admin/..%2fpublic/x", "/public/..%2fadmin/users", "/public%2f..%2fadmin/users", "/public%2Fx", "/public%2fadmin", "/admin%2fusers", "/public/..%252fadmin/users",
	`/admin/..\public/x`, `/public/..\admin/users`, "/admin%5c..%5cpublic/x", "/public/..%5cadmin/users", `/\x/admin/users`, `/\public/admin/users`, `\admin\users`, "/%5Cx/admin",
	"/admin/..;/public/x", "/public/..;/admin/users", "/public;/../admin/users", "/admin;x/../public/x", "/;/admin/users", "/public;x/y", "/admin;.css", "/admin/users;x.css",
	"/%61dmin/users", "/%70ublic/x", "/pu%62lic/../admin", "/%2561dmin/users", "/public%00/x", "/admin/users%00.css", "/admin/users%3F.css", "/admin/users%23.css", "/admin#x.css", "/admin/users%0a.css",
	"/admin.php", "/admin.php/x.css", "/admin.PHP/x.css", "/admin.php/", "/admin.phpx.css", "/index.php/admin/users", "/index.php/admin/x.css", "/index.php/public/x", "/admin.php/../public/x",
	"/billing.php", "/billing.phpx.php", "/admin.phpx.php", "/billing.php/x", "/billing.php/x.css", "/index.php/billing/pay", "/index.php/account/delete",
	"//billing/pay", "//x/billing/pay", "/x/../billing/pay", "/billing//../pay", "/billing%2Fpay", "/billing/", "/billing", "/./billing", "/x/%2e%2e/billing/pay", "/x/..%2fbilling/pay", `/x/..\billing/pay`,
	"//x/account/delete", "/account//delete", "/account/./delete", "/account/x/../delete", "/account%2Fdelete", "/account%252Fdelete", "/account/delete/", "/account/delete/.", "/account/delete;x",
	"/account;x/delete", "/account/delete%20", "/account/delete%00", "/account/%64elete", "/ACCOUNT/delete", "/account/delete%2F", `/account\delete`,
	"http://a.example.com//x/admin/users", "http://a.example.com/admin/../public/x", "x:admin/users", "x:/public/../admin", "http:account/delete",
}

// ownVariants are those of our path.
var ownVariants = []string{
	"//x/auth/sessions", "///x/auth/sessions", `/\x/auth/sessions`, "/%5Cx/auth/sessions", "/x/../auth/sessions", "//auth/sessions", "/auth//sessions", "/auth/./sessions", "/auth%2Fsessions", "/auth%5Csessions",
	"/auth%252Fsessions", "/auth/sessions/", "/auth/sessions;x", "/auth;x/sessions", "/auth/sessions%20", "/auth/sessions%00", "/%61uth/sessions", "/index.php/auth/sessions", "/auth/x/%2e%2e/sessions",
	"/auth/x/..%2fsessions", `/auth\sessions`, `/auth/x/..\sessions`, "/AUTH/sessions", "http:auth/sessions", "http://a.example.com//x/auth/sessions",
}

const (
	variantIdentity = "identity {\n\t\t\trequire\n\t\t\texempt /public/* *.css\n\t\t}"
	variantDeny     = "\n\t\timpersonation {\n\t\t\tdeny /billing/* /account/delete /billing.php\n\t\t}"
)

// What is exempt is what the app takes it for, and an impersonated session never gets to
// what is denied, in front of servers that read paths in different ways.
func TestH6_GuardsHoldInFrontOfRealServers(t *testing.T) {
	t.Parallel()
	behind := map[string]func(t *testing.T) (proxied string){
		"Go":            func(t *testing.T) string { return "reverse_proxy " + host(goServer(t)) },
		"Go's ServeMux": func(t *testing.T) string { return "reverse_proxy " + host(serveMux(t)) },
		"Node's URL":    func(t *testing.T) string { return "reverse_proxy " + host(node(t)[0]) },
		"Express":       func(t *testing.T) string { return "reverse_proxy " + host(node(t)[1]) },
		"Flask":         func(t *testing.T) string { return "reverse_proxy " + host(flask(t)) },
		"PHP":           func(t *testing.T) string { return "root * " + phpRoot(t) + "\n\tphp_fastcgi " + phpFPM(t) },
		"PHP, no rewrites": func(t *testing.T) string {
			return "root * " + phpRoot(t) + "\n\tphp_fastcgi " + phpFPM(t) + " {\n\t\tindex off\n\t}"
		},
	}
	for name, start := range behind {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxied := start(t)
			p := sidecartest.NewIDP(t, "https://idp.example.com")
			s := newFullSidecar(t)
			open, bare := "http://127.0.0.1:"+sidecartest.Port(t), "http://127.0.0.1:"+sidecartest.Port(t)
			site := func(address, issuer, words string) string {
				text, _, _ := strings.Cut(p.Site(s.Sidecar, "", words), "\treverse_proxy ")
				return strings.NewReplacer("SITE", address, "issuer https://app.example.com", "issuer "+issuer).Replace(text) + "\t" + proxied + "\n}\n"
			}
			s.Start(site("SITE", "https://app.example.com", variantIdentity+variantDeny) + site("http://:"+sidecartest.PortOf(bare), "https://bare.example.com", "") +
				"http://:" + sidecartest.PortOf(open) + " {\n\t" + proxied + "\n}\n")
			imp := s.Create(p.Token("desk", map[string]any{"scope": "sessions:impersonate"}), `{"user_id":"alice"}`).Text("access_token")
			wantGuarded(t, s.URL, open, "Authorization: Bearer "+imp)
			wantOwn(t, bare, open)
		})
	}
}

func host(url string) string { return strings.TrimPrefix(url, "http://") }

// wantGuarded asks a guarded site for all variants, and an open one of the same app.
func wantGuarded(t *testing.T, guarded, open, impersonated string) {
	t.Helper()
	misread, denied := 0, 0
	for _, target := range pathVariants {
		_, read := asked(t, open, "GET", target)
		wantModelled(t, target, read)
		if caddyExempts, caddyDenies := pathMatchers(target); caddyExempts && read != "" && !isPublic(read) || !caddyDenies && isDenied(read) {
			misread++
		}
		if status, route := asked(t, guarded, "GET", target); route != "" && !isPublic(route) {
			t.Errorf("without a token, %s: %d from %s", target, status, route)
		}
		status, route := asked(t, guarded, "GET", target, impersonated)
		if isDenied(route) {
			t.Errorf("of an impersonated session, %s: %d from %s", target, status, route)
		}
		if status == 403 {
			denied++
		}
	}
	for target, want := range map[string]string{"/public/M%C3%A4rz%202026.pdf": "public", "/x.css": "css"} {
		if _, read := asked(t, open, "GET", target); read == want { // not by scripts alone
			if status, route := asked(t, guarded, "GET", target); status != 200 || route != want {
				t.Errorf("%s: %d from %s", target, status, route)
			}
		}
	}
	if misread == 0 || denied < len(pathVariants)/2 {
		t.Errorf("the app misreads %d paths, and %d of %d are denied: this tests nothing", misread, denied, len(pathVariants))
	}
}

// wantOwn asks a site with a bare block for all variants of our path.
func wantOwn(t *testing.T, bare, open string) {
	t.Helper()
	for _, target := range ownVariants {
		if status, route := asked(t, bare, "POST", target); route != "" || status != 404 && status != 401 && status != 400 {
			t.Errorf("POST %s: %d from %s", target, status, route)
		}
	}
	if _, read := asked(t, open, "POST", "/auth/sessions"); read != "sessions" && read != "" { // by scripts alone
		t.Errorf("the app takes its own /auth/sessions for %s: this tests nothing", read)
	}
}

func isPublic(route string) bool { return route == "public" || route == "css" }

func isDenied(route string) bool { return route == "billing" || route == "delete" }

// pathMatchers says what Caddy's path matcher makes of exempt and deny.
func pathMatchers(target string) (exempts, denies bool) {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return false, false
	}
	cleaned := strings.ToLower(path.Clean("/" + u.Path))
	exempts = strings.HasPrefix(cleaned+"/", "/public/") || strings.HasSuffix(cleaned, ".css")
	return exempts, strings.HasPrefix(cleaned+"/", "/billing/") || cleaned == "/account/delete" || cleaned == "/billing.php"
}

// wantModelled fails where a server reads a path as no model does.
func wantModelled(t *testing.T, target, route string) {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil || u.Opaque != "" || route == "" || route == "other" || route == "css" {
		return
	}
	for _, server := range pathtest.Servers {
		if routeOf(strings.ToLower(server.Read(u.EscapedPath()))) == route {
			return
		}
	}
	t.Errorf("%s is read as %s, and by no model", target, route)
}
