#!/bin/sh
# Builds Caddy with authsidecar in it, and runs the example.
set -eu

usage() {
	cat <<'END'
Usage:
  ./xcaddy.sh [ARGUMENT...]      build ./caddy
  ./xcaddy.sh --lean [STORE...]  build it smaller and sooner: the modules that a sidecar needs, and
                                 of the stores pebble and those named, redis or postgres
  ./xcaddy.sh run [...]          build ./caddy where needed, and run Caddyfile.example

The arguments go to "xcaddy build": ./xcaddy.sh --with github.com/caddy-dns/cloudflare
Paths in them are relative to the folder of this script.

Environment:
  XCADDY              how to build: xcaddy (the one on PATH), go-run (a pinned xcaddy through
                      "go run") or go-build (no xcaddy, no arguments); default: the first that
                      works, and go-run for arguments only
  EXAMPLE_PORT        where the example listens on 127.0.0.1 (8080)
  EXAMPLE_APP_PORT    where the demo app behind it listens (8081)
  EXAMPLE_ADMIN_PORT  where Caddy's admin endpoint listens (8082)
  EXAMPLE_IDP_PORT    where the stand-in for an identity provider listens (8083)
END
}

main() {
	trap 'trap - INT; kill -INT $$' INT # no other way is tried after Ctrl-C
	CDPATH='' cd -- "$(dirname -- "$0")"
	case ${1-} in
	-h | --help | help) usage ;;
	run) shift && run "$@" ;;
	[!-]*) die "there is no command $1: run is one, and ./xcaddy.sh --help says what else there is" ;;
	*) build "$@" ;;
	esac
}

say() { printf 'xcaddy.sh: %s\n' "$*" >&2; }

die() {
	say "$@"
	exit 1
}

build() {
	tags=nobadger,nomysql,nopgx
	if [ "${1-}" = --lean ]; then
		shift
		lean "$@"
		set --
	fi
	check_go
	writable . "copy the clone to a folder of yours"
	fetch
	estimate
	case ${XCADDY-} in
	'') with_xcaddy "$@" || with_go_run "$@" || with_go_build "$@" ;;
	xcaddy) with_xcaddy "$@" ;;
	go-run) with_go_run "$@" ;;
	go-build) with_go_build "$@" ;;
	*) die "XCADDY is '$XCADDY', which is none of xcaddy, go-run and go-build" ;;
	esac || die "./caddy was not built"
	say "built ./caddy"
}

# lean sets what a lean build is made with.
lean() {
	XCADDY=go-build tags=lean,$tags
	for store; do
		case $store in
		redis | postgres) tags=$tags,$store ;;
		*) die "--lean takes redis and postgres, and not '$store': what else is to be in Caddy needs a build without --lean" ;;
		esac
	done
}

# What would fail is looked for before what takes long.

check_go() {
	needed=$(sed -n 's/^go //p' go.mod)
	install="install Go $needed or newer (https://go.dev/dl/) and try again"
	command -v go >/dev/null 2>&1 || die "Go is not on PATH: $install"
	found=$(GOTOOLCHAIN=local go env GOVERSION)
	if older "$found" "$needed"; then
		say "$found is older than go$needed: asking it to fetch that"
		if ! found=$(go env GOVERSION 2>/dev/null) || older "$found" "$needed"; then
			die "it cannot: $install"
		fi
	fi
}

# older reports whether a version is older than another: go1.9.2 than 1.21.
older() {
	is=${1#go}
	is=${is%%[!0-9.]*}
	[ "$is" != "$2" ] && [ "$(printf '%s\n' "$is" "$2" | sort -t . -k 1,1n -k 2,2n -k 3,3n | head -n 1)" = "$is" ]
}

# writable makes sure that files can be made in a folder, and says what to do if not.
writable() {
	case $1 in
	/*) where=$1 ;;
	*) where="$1 in $PWD" ;;
	esac
	(mkdir -p -- "$1" && : >"$1/.xcaddy.$$") 2>/dev/null || die "$where cannot be written: $2"
	rm -f -- "$1/.xcaddy.$$"
}

# room makes sure that a folder, which a variable names, has room for so many megabytes.
room() {
	free=$(df -Pk -- "$1" 2>/dev/null | sed -n '$s/.* \([0-9][0-9]*\)  *[0-9][0-9]*% .*/\1/p')
	if [ -n "$free" ] && [ $((free / 1024)) -lt "$2" ]; then
		die "$1 has room for $((free / 1024)) MB, and the build needs some $2: make room${3:+, or set $3 to a folder on another disk}"
	fi
}

# fetch gets the modules of Go that the build needs and that are not here.
fetch() {
	modules=$(go env GOMODCACHE)
	missing=$(LC_ALL=C awk '/^\t[^ ]+ v/ {
		path = ""
		for (i = 1; i <= length($1); i++) { c = substr($1, i, 1); path = path (c ~ /[A-Z]/ ? "!" tolower(c) : c) }
		print path "@" $2
	}' go.mod | while read -r module; do [ -d "$modules/$module" ] || echo "$module"; done | wc -l)
	if [ $((missing)) -gt 0 ]; then # a folder of others that has all is good as it is
		writable "$modules" "set GOMODCACHE to a folder of yours"
	fi
	if [ $((missing)) -gt 20 ]; then
		room "$modules" $((missing * 8)) GOMODCACHE
		say "fetching what Caddy is made of: up to $((missing)) modules, once"
	fi
	{
		status=0
		go list -tags "$tags" -deps ./caddymodule/caddy 2>&1 >/dev/null || status=$?
		echo "exit $status"
	} | progress fetched $((missing)) || die "they cannot be fetched: is there a network? GOPROXY is $(go env GOPROXY)"
}

# estimate says how much is to be compiled. What was compiled before is not compiled again.
estimate() {
	cache=$(go env GOCACHE)
	writable "$cache" "set GOCACHE to a folder of yours"
	packages=$(CGO_ENABLED=${CGO_ENABLED-0} go list -trimpath -tags "$tags" -deps -f '{{if .Stale}}{{.ImportPath}}{{end}}' ./caddymodule/caddy | wc -l)
	packages=$((packages)) cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
	room . 200
	room "$cache" $((packages + 100)) GOCACHE
	room "${GOTMPDIR:-${TMPDIR:-/tmp}}" $((packages + 300)) GOTMPDIR
	if [ "$packages" -lt 100 ]; then
		return
	fi
	say "compiling $packages packages on $cores cores: some $((packages * 3 / 10 / cores / 60 + 1)) minutes, once; the next build takes seconds. Ctrl-C stops it"
}

# progress shows what a build says that it has done, one name a line, and so many of how many, and
# what else it says. The last line is its exit status.
progress() {
	count=0 status=1
	while IFS= read -r line; do
		case $line in
		'exit '*) status=${line#exit } ;;
		'go: downloading '*) step "$1" "$2" "${line#go: downloading }" ;;
		*[!A-Za-z0-9./_~@-]* | '') printf '%s\n' "$line" >&2 ;;
		*) step "$1" "$2" "$line" ;;
		esac
	done
	if [ -t 2 ]; then
		printf '\r\033[K' >&2
	fi
	return "$status"
}

# step shows a step: in place on a terminal, else now and then.
step() {
	count=$((count + 1))
	if [ -t 2 ]; then
		printf '\r\033[K%s %d of %d: %.60s' "$1" "$count" "$2" "$3" >&2
	elif [ $((count % 100)) -eq 0 ]; then
		say "$1 $count of $2"
	fi
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
	if [ $# -eq 0 ] && [ -z "${XCADDY-}" ]; then
		return 1 # go build does as well
	fi
	say "fetching xcaddy"
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
	{
		status=0
		CGO_ENABLED=${CGO_ENABLED-0} go build -v -trimpath -buildvcs=false -tags "$tags" -ldflags '-w -s' -o caddy ./caddymodule/caddy 2>&1 || status=$?
		echo "exit $status"
	} | progress compiled "$packages"
}

pinned_xcaddy() {
	${limit-} go run -modfile=.ci/xcaddy.mod github.com/caddyserver/xcaddy/cmd/xcaddy "$@"
}

# probe reports whether a command works. A network that swallows what is sent must not hold it up,
# on systems that can tell the time and leave the command to Ctrl-C.
probe() (
	if timeout --foreground 9 true 2>/dev/null; then
		limit='timeout --foreground 60'
	fi
	"$@" >/dev/null 2>&1
)

# xcaddy_build builds with the xcaddy that its first argument calls.
xcaddy_build() {
	xcaddy=$1
	shift
	version=$(go list -m -f '{{.Version}}' github.com/caddyserver/caddy/v2)
	{
		status=0
		XCADDY_GO_BUILD_FLAGS="-v ${XCADDY_GO_BUILD_FLAGS:--trimpath -tags $tags -ldflags '-w -s'}" \
			"$xcaddy" build "$version" --with authsidecar/caddymodule --replace authsidecar=. --output ./caddy "$@" 2>&1 || status=$?
		echo "exit $status"
	} | progress compiled "$packages" || {
		say "that failed"
		return 1
	}
}

run() {
	: "${EXAMPLE_PORT:=8080}" "${EXAMPLE_APP_PORT:=8081}" "${EXAMPLE_ADMIN_PORT:=8082}" "${EXAMPLE_IDP_PORT:=8083}"
	export EXAMPLE_PORT EXAMPLE_APP_PORT EXAMPLE_ADMIN_PORT EXAMPLE_IDP_PORT
	check_ports
	if [ $# -gt 0 ] || stale; then
		build "$@"
	fi
	writable .example "copy the clone to a folder of yours"
	make_keys
	./caddy auth-sessions demo-idp --listen "127.0.0.1:$EXAMPLE_IDP_PORT" --site "http://127.0.0.1:$EXAMPLE_PORT/auth/sessions" --site "http://localhost:$EXAMPLE_PORT/auth/sessions" --with-parent >/dev/null &
	try_it_when_it_serves &
	XDG_DATA_HOME=$PWD/.example/data exec ./caddy run --config Caddyfile.example --adapter caddyfile
}

check_ports() {
	if ! command -v curl >/dev/null 2>&1; then
		say "curl is not on PATH: the commands to try need it"
		return
	fi
	other=$(ask "$EXAMPLE_ADMIN_PORT/auth_sessions/status" | sed -n 's/.*"location":"\([^"]*\)\/\.example\/sessions".*/\1/p')
	if [ "$other" = "$PWD" ]; then
		die "the example of this folder is running: Ctrl-C in its terminal stops it"
	fi
	for port in "$EXAMPLE_PORT" "$EXAMPLE_APP_PORT" "$EXAMPLE_ADMIN_PORT" "$EXAMPLE_IDP_PORT"; do
		status=0
		ask "$port" >/dev/null || status=$?
		if [ "$status" -ne 7 ]; then # 7: nobody listens
			die "port $port is taken by ${other:+the example of $other, }$(listener "$port"): stop that, or choose other ports, as in: EXAMPLE_PORT=9080 EXAMPLE_APP_PORT=9081 EXAMPLE_ADMIN_PORT=9082 EXAMPLE_IDP_PORT=9083 ./xcaddy.sh run"
		fi
	done
}

ask() { curl -s --noproxy '*' --max-time 2 "http://127.0.0.1:$1"; }

# listener names the process that listens on a port, where this system says.
listener() {
	name=
	if command -v lsof >/dev/null 2>&1; then
		name=$(lsof -nP -iTCP:"$1" -sTCP:LISTEN -Fpc 2>/dev/null | sed -n -e 's/^p/process /p' -e 's/^c//p' | head -n 2 | tr '\n' ' ')
	elif command -v ss >/dev/null 2>&1; then
		name=$(ss -Hltnp "sport = :$1" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/process \2 \1/p' | head -n 1)
	fi
	echo "${name:-a process that this user cannot see}" | sed 's/ *$//'
}

# stale reports whether ./caddy is not there, or older than what it is made of.
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
	chmod 700 .example
	./caddy auth-sessions keygen --force --output .example/idp.jwk --jwks .example/idp.jwks.json
	say "made a throw-away key pair in .example"
}

# try_it_when_it_serves waits for the Caddy that this process becomes.
try_it_when_it_serves() {
	until ./caddy auth-sessions health "http://127.0.0.1:$EXAMPLE_PORT/auth/health" >/dev/null 2>&1; do
		kill -0 $$ 2>/dev/null || return
		sleep 1
	done
	try_it
}

# try_it prints commands to paste. The README and the walkthrough show them with what they answer.
try_it() {
	site=http://127.0.0.1:$EXAMPLE_PORT
	cat <<END

Caddy runs on $site until you press Ctrl-C.
Try it in another terminal, in $PWD:

token() { ./caddy auth-sessions token --key .example/idp.jwk --issuer https://idp.example.com --audience $site/auth/sessions --ttl 1h "\$@"; }
alice=\$(token --sub alice)
desk=\$(token --sub support-desk --scope sessions:impersonate)

curl -i $site/auth/sessions -H "Authorization: Bearer \$alice" -H 'Content-Type: application/json' -d '{"user_id": "alice"}'

answer=\$(curl -s $site/auth/sessions -H "Authorization: Bearer \$desk" -H 'Content-Type: application/json' -d '{"user_id": "alice", "reason": "ticket 4711"}') && echo "\$answer"
field() { printf '%s' "\$answer" | sed 's/.*"'"\$1"'":"\([^"]*\)".*/\1/'; }

curl -i $site/hello -H "Authorization: Bearer \$(field access_token)"

curl -i $site/billing/card -H "Authorization: Bearer \$(field access_token)"

./caddy auth-sessions revoke --impersonations --yes --address 127.0.0.1:$EXAMPLE_ADMIN_PORT

curl -i $site/hello -H "Authorization: Bearer \$(field access_token)"

curl -s $site/auth/sessions -H "Authorization: Bearer \$desk" -H 'Content-Type: application/json' -d '{"user_id": "alice", "reason": "ticket 4711", "deliver": "link"}'

curl -i $site/auth/sessions -H "Authorization: Bearer \$alice" -H 'Content-Type: application/json' -d '{"user_id": "bob", "reason": "curious"}'

answer=\$(curl -s $site/auth/sessions -H "Authorization: Bearer \$alice" -H 'Content-Type: application/json' -d '{"user_id": "alice"}')

answer=\$(curl -s $site/auth/sessions/current/refresh -H 'Content-Type: application/json' -d '{"refresh_token": "'"\$(field refresh_token)"'"}') && echo "\$answer"

curl -i "$site/auth/sessions?user_id=alice" -H "Authorization: Bearer \$(field access_token)"

curl -i -X DELETE $site/auth/sessions/current -H "Authorization: Bearer \$(field access_token)"

curl -i $site/auth/sessions/current/refresh -H 'Content-Type: application/json' -d '{"refresh_token": "'"\$(field refresh_token)"'"}'

curl -i $site/hello -H "Authorization: Bearer \$(field access_token)"

END
	if [ -t 1 ]; then
		printf 'Or in a browser, where you choose who you are: %s/, and as support or officer at the console: http://localhost:%s/\n' "$site" "$EXAMPLE_PORT"
	fi
}

main "$@"
