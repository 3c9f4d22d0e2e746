#!/bin/sh
# Builds Caddy with authsidecar in it, and runs the example.
set -eu

usage() {
	cat <<'END'
Usage:
  ./xcaddy.sh [ARGUMENT...]      build ./caddy
  ./xcaddy.sh run [ARGUMENT...]  build ./caddy where needed, and run Caddyfile.example

The arguments go to "xcaddy build": ./xcaddy.sh --with github.com/caddy-dns/cloudflare
Paths in them are relative to the folder of this script.

Environment:
  XCADDY              how to build: xcaddy (the one on PATH), go-run (a pinned xcaddy through
                      "go run") or go-build (no xcaddy, no arguments); default: the first that works
  EXAMPLE_PORT        where the example listens on 127.0.0.1 (8080)
  EXAMPLE_APP_PORT    where the demo app behind it listens (8081)
  EXAMPLE_ADMIN_PORT  where Caddy's admin endpoint listens (8082)
END
}

main() {
	CDPATH='' cd -- "$(dirname -- "$0")"
	case ${1-} in
	-h | --help | help) usage ;;
	run) shift && run "$@" ;;
	*) build "$@" ;;
	esac
}

say() { printf 'xcaddy.sh: %s\n' "$*" >&2; }

die() {
	say "$@"
	exit 1
}

build() {
	command -v go >/dev/null 2>&1 ||
		die "Go is not on PATH: install Go $(sed -n 's/^go //p' go.mod) or newer (https://go.dev/dl/) and try again"
	case ${XCADDY-} in
	'') with_xcaddy "$@" || with_go_run "$@" || with_go_build "$@" ;;
	xcaddy) with_xcaddy "$@" ;;
	go-run) with_go_run "$@" ;;
	go-build) with_go_build "$@" ;;
	*) die "XCADDY is '$XCADDY', which is none of xcaddy, go-run and go-build" ;;
	esac || die "./caddy was not built"
	say "built ./caddy"
}

# Each way says that it is taken, or why it is skipped. A way that fails is followed by the next.

with_xcaddy() {
	if ! command -v xcaddy >/dev/null 2>&1; then
		say "skipping xcaddy: it is not on PATH"
		return 1
	fi
	say "building with xcaddy ($(command -v xcaddy))"
	xcaddy_build xcaddy "$@"
}

with_go_run() {
	if ! probe pinned_xcaddy version; then
		say "skipping go run of xcaddy: it cannot be downloaded"
		return 1
	fi
	say "building with xcaddy, by go run -modfile=.ci/xcaddy.mod"
	xcaddy_build pinned_xcaddy "$@"
}

with_go_build() {
	if [ $# -gt 0 ]; then
		say "go build cannot do what xcaddy does with: $*"
		say "install xcaddy (https://github.com/caddyserver/xcaddy), or import what you need in caddymodule/caddy/main.go"
		return 1
	fi
	say "building with go build ./caddymodule/caddy"
	go build -tags nobadger,nomysql,nopgx -ldflags '-w -s' -o caddy ./caddymodule/caddy
}

pinned_xcaddy() {
	${limit-} go run -modfile=.ci/xcaddy.mod github.com/caddyserver/xcaddy/cmd/xcaddy "$@"
}

# probe tells whether a command works. A network that swallows what is sent must not hold it up,
# on systems that can tell the time.
probe() (
	if command -v timeout >/dev/null 2>&1; then
		limit='timeout 60'
	fi
	"$@" >/dev/null 2>&1
)

# xcaddy_build builds with the xcaddy that its first argument calls.
xcaddy_build() {
	xcaddy=$1
	shift
	"$xcaddy" build "$(go list -m -f '{{.Version}}' github.com/caddyserver/caddy/v2)" \
		--with authsidecar/caddymodule --replace authsidecar=. --output ./caddy "$@" || {
		say "that failed"
		return 1
	}
}

run() {
	if [ $# -gt 0 ] || stale; then
		build "$@"
	fi
	: "${EXAMPLE_PORT:=8080}" "${EXAMPLE_APP_PORT:=8081}" "${EXAMPLE_ADMIN_PORT:=8082}"
	export EXAMPLE_PORT EXAMPLE_APP_PORT EXAMPLE_ADMIN_PORT
	make_keys
	try_it
	XDG_DATA_HOME=$PWD/.example/data exec ./caddy run --config Caddyfile.example --adapter caddyfile
}

# stale tells whether ./caddy is not there, or older than what it is made of.
stale() {
	[ ! -x caddy ] ||
		[ -n "$(find . -name .git -prune -o \( -name '*.go' -o -name go.mod -o -name go.sum \) -newer caddy -print)" ]
}

# make_keys makes the key pair that stands in for an identity provider's. Whoever holds the
# private one can call as anybody in the example.
make_keys() {
	if [ -f .example/idp.jwk ] && [ -f .example/idp.jwks.json ]; then
		return
	fi
	(umask 077 && mkdir -p .example)
	./caddy auth-sessions keygen --force --output .example/idp.jwk --jwks .example/idp.jwks.json
	say "made a throw-away key pair in .example"
}

# try_it prints commands to paste. The README shows them with what they answer.
try_it() {
	site=http://127.0.0.1:$EXAMPLE_PORT
	cat <<END

Caddy runs on $site until you press Ctrl-C.
Try it in another terminal, in $PWD:

token() { ./caddy auth-sessions token --key .example/idp.jwk --issuer https://idp.example.com --audience $site/auth/sessions "\$@"; }
alice=\$(token --sub alice)
desk=\$(token --sub support-desk --scope sessions:impersonate)

curl -i $site/auth/sessions -H "Authorization: Bearer \$alice" -H 'Content-Type: application/json' -d '{"user_id": "alice"}'

curl -i $site/auth/sessions -H "Authorization: Bearer \$desk" -H 'Content-Type: application/json' -d '{"user_id": "alice", "reason": "ticket 4711"}'

curl -i $site/auth/sessions -H "Authorization: Bearer \$alice" -H 'Content-Type: application/json' -d '{"user_id": "bob", "reason": "curious"}'

answer=\$(curl -s $site/auth/sessions -H "Authorization: Bearer \$alice" -H 'Content-Type: application/json' -d '{"user_id": "alice"}')
field() { printf '%s' "\$answer" | sed 's/.*"'"\$1"'":"\([^"]*\)".*/\1/'; }

answer=\$(curl -s $site/auth/sessions/current/refresh -H 'Content-Type: application/json' -d '{"refresh_token": "'"\$(field refresh_token)"'"}') && echo "\$answer"

curl -i $site/hello -H "Authorization: Bearer \$(field access_token)"

curl -i "$site/auth/sessions?user_id=alice" -H "Authorization: Bearer \$(field access_token)"

curl -i -X DELETE $site/auth/sessions/current -H "Authorization: Bearer \$(field access_token)"

curl -i $site/auth/sessions/current/refresh -H 'Content-Type: application/json' -d '{"refresh_token": "'"\$(field refresh_token)"'"}'

curl -i $site/hello -H "Authorization: Bearer \$(field access_token)"

END
}

main "$@"
