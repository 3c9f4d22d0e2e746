package pgstore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
)

// Errors of Open and of each operation. All of them wrap sessions.ErrUnavailable.
var (
	// ErrNewer means that a newer release migrated the schema to what this one must
	// not touch.
	ErrNewer = fmt.Errorf("%w: schema was migrated by a newer release", sessions.ErrUnavailable)
	// ErrBusy means that too many wait for a connection already, or that none came
	// free in time. Nothing was done.
	ErrBusy = fmt.Errorf("%w: no connection came free", sessions.ErrUnavailable)
)

// refusal wraps the errors of Open: those that do not pass by themselves, but when somebody
// changes the options, the rights of the role, or what is there, are sessions.ErrSetup as well.
func refusal(err error) error {
	class := code(err)
	setup := class == codeNoDatabase || strings.HasPrefix(class, classAuthorization) || strings.HasPrefix(class, classSyntaxOrAccess)
	return calls.Refusal(err, setup || errors.Is(err, errDSN) || errors.Is(err, ErrNewer))
}

func unavailable(err error) error { return calls.Unavailable(err) }

// What the server's errors mean (PostgreSQL, appendix A).
const (
	codeSerialization   = "40001"
	codeDeadlock        = "40P01"
	codeReadOnly        = "25006"
	codeProtocol        = "08P01"
	codePrivilege       = "42501"
	codeSyntax          = "42601"
	codeNoFunction      = "42883"
	codeNoTable         = "42P01"
	codeNoSchema        = "3F000"
	codeNotSupported    = "0A000"
	codeAdminShutdown   = "57P01"
	codeCrashShutdown   = "57P02"
	codeCannotConnect   = "57P03"
	codeDatabaseDropped = "57P04"
	codeNoDatabase      = "3D000"

	classAuthorization  = "28" // whoever we say that we are
	classSyntaxOrAccess = "42" // no right, or tables that are not ours
)

// code returns the server's code for an error, or "".
func code(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// undone reports whether a statement changed nothing and may be sent again.
func undone(err error) bool {
	switch code(err) {
	case codeSerialization, codeDeadlock:
		return true
	default:
		return false
	}
}

// spoilt reports whether a connection that is open is of no more use: it
// leads to a server that must not write, or that goes away.
func spoilt(err error) bool {
	switch code(err) {
	case codeReadOnly, codeAdminShutdown, codeCrashShutdown, codeCannotConnect, codeDatabaseDropped:
		return true
	default:
		return false
	}
}
