package pgstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
)

// Errors of Open and of all operations. All of them wrap sessions.ErrUnavailable.
var (
	// ErrNewer means that a newer release migrated the schema to a version that this one must not
	// use.
	ErrNewer = fmt.Errorf("%w: schema was migrated by a newer release", sessions.ErrUnavailable)
	// ErrBusy means that too many calls wait for a connection, or that none became free in time.
	// Nothing was done.
	ErrBusy = fmt.Errorf("%w: no connection became free", sessions.ErrUnavailable)
)

// refusal wraps the errors of Open. Those that persist until an operator changes the options, the
// role's privileges or the database wrap sessions.ErrSetup too.
func refusal(err error) error {
	class := code(err)
	setup := class == codeNoDatabase || strings.HasPrefix(class, classAuthorization) || strings.HasPrefix(class, classSyntaxOrAccess)
	return calls.Refusal(err, setup || errors.Is(err, errDSN) || errors.Is(err, ErrNewer))
}

func unavailable(err error) error { return calls.Unavailable(err) }

// The server's error codes (PostgreSQL, appendix A).
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
	codeNoStatement     = "26000"
	codeTwoStatements   = "42P05"
	codeAdminShutdown   = "57P01"
	codeCrashShutdown   = "57P02"
	codeCannotConnect   = "57P03"
	codeDatabaseDropped = "57P04"
	codeNoDatabase      = "3D000"

	classAuthorization  = "28" // authentication
	classSyntaxOrAccess = "42" // missing privileges, or tables that are not ours
)

// code returns the server's code of an error, or "".
func code(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// undone reports whether a statement had no effect and may be retried.
func undone(err error) bool {
	return slices.Contains([]string{codeSerialization, codeDeadlock}, code(err))
}

// unusable reports whether an open connection is useless: it leads to a server that must not write,
// or that is shutting down.
func unusable(err error) bool {
	return slices.Contains([]string{codeReadOnly, codeAdminShutdown, codeCrashShutdown, codeCannotConnect, codeDatabaseDropped}, code(err))
}
