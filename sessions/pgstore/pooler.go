package pgstore

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A pooler is what is known of a pooler, such as PgBouncer, that stands before the database. The first
// connection is asked; where one comes later, errors tell.
type pooler struct {
	asked  atomic.Bool
	found  atomic.Bool // statements are not prepared
	strict atomic.Bool // it takes no settings: then the server's are those of the role
	log    *slog.Logger
}

// modePooled sends a statement and its arguments as one, which leaves nothing in the server's session.
// Else each connection prepares what it says: planning costs more than all the rest.
const modePooled = pgx.QueryExecModeCacheDescribe

const settingTimeout = "statement_timeout"

// errPooler means that a connection was made as if it led to the server itself.
var errPooler = errors.New("there is a pooler in front of the database")

// configure has the connections of a pool be made as what is known asks for.
func (p *pooler) configure(config *pgxpool.Config, log *slog.Logger) {
	p.log = log
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error { // a copy
		if p.found.Load() {
			c.DefaultQueryExecMode = modePooled
		}
		if p.strict.Load() {
			delete(c.RuntimeParams, settingTimeout)
			delete(c.RuntimeParams, "enable_seqscan")
		}
		return nil
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if p.asked.Load() || conn.Config().DefaultQueryExecMode == modePooled {
			return nil
		}
		through, err := throughPooler(ctx, conn)
		if err == nil && through {
			p.found.Store(true)
			err = errPooler
		}
		p.asked.Store(err == nil)
		return err
	}
}

// learn reports whether the error of a connection tells how to make the next one.
func (p *pooler) learn(err error) bool {
	if errors.Is(err, errPooler) {
		return true
	}
	if !refusesSetting(err) {
		return false
	}
	if !p.strict.Swap(true) {
		p.log.Info("the pooler in front of the database does not accept statement_timeout: set it for the role, with ALTER ROLE")
	}
	return true
}

// lostPrepared reports whether a statement came to nothing since it was prepared on another connection of
// the server, or by somebody else on this one.
func lostPrepared(err error) bool {
	switch code(err) {
	case codeNoStatement, codeTwoStatements:
		return true
	default:
		return false
	}
}

// refusesSetting reports whether a connection was refused for a setting. PgBouncer has one code for
// all that it refuses.
func refusesSetting(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == codeNotSupported || pg.Code == codeProtocol && strings.Contains(pg.Message, "startup parameter"))
}

// throughPooler reports whether the connection leads to a pooler, which may give each transaction
// to another of the server: it has a process of its own to cancel.
func throughPooler(ctx context.Context, conn *pgx.Conn) (pooled bool, err error) {
	var process int64 // less than 0 where a database has none
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeExec).Scan(&process)
	return process != int64(conn.PgConn().PID()), err
}
