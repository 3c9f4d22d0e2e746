package pgstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"authsidecar/sessions"
)

// The versions that this release knows. A release that changes the tables in a way that this one
// can still use adds a migration and leaves schemaOldest unchanged; otherwise it raises
// schemaOldest to its own version.
const (
	schemaVersion = 4
	schemaOldest  = 1 // the oldest release that may use what this one migrated
)

// migrations lead from each version to the next, beginning with an empty schema.
var migrations = []string{`
CREATE TABLE {s}.sessions (
	realm         bytea   NOT NULL,
	id            bytea   NOT NULL,
	rev           bigint  NOT NULL, -- each write adds one; it begins anywhere
	format        bigint  NOT NULL, -- of data
	holder        bytea   NOT NULL, -- hash of user and client; empty while it is pending
	user_key      bytea   NOT NULL, -- hash of the user
	actor_key     bytea   NOT NULL, -- hash of the actor
	impersonation boolean NOT NULL,
	created_at    bigint  NOT NULL, -- times are Unix milliseconds
	expires_at    bigint  NOT NULL,
	idle          bigint  NOT NULL,
	due_at        bigint  NOT NULL, -- when it may be swept, or before
	generation    bigint  NOT NULL,
	secret        bytea   NOT NULL,
	secret_prev   bytea   NOT NULL,
	kid           bytea   NOT NULL,
	rotated_at    bigint  NOT NULL,
	rotated_from  bytea   NOT NULL,
	revoked_at    bigint,
	end_reason    bytea   NOT NULL,
	data          bytea   NOT NULL, -- JSON
	PRIMARY KEY (realm, id)
) WITH (fillfactor = 70); -- room beside each row for its next version
CREATE INDEX sessions_user ON {s}.sessions (realm, user_key, impersonation, created_at, id) WHERE revoked_at IS NULL;
CREATE INDEX sessions_actor ON {s}.sessions (realm, actor_key, created_at, id) WHERE impersonation AND revoked_at IS NULL;
-- The sum keeps the planner from reading this one, in order, for a user who has few.
CREATE INDEX sessions_impersonation ON {s}.sessions (realm, (created_at + 0), id) WHERE impersonation AND revoked_at IS NULL;
CREATE INDEX sessions_due ON {s}.sessions (due_at);
CREATE TABLE {s}.revocations (
	realm  bytea  NOT NULL,
	id     bytea  NOT NULL,
	at     bigint NOT NULL,
	logged bigint NOT NULL, -- when it was written here
	PRIMARY KEY (realm, id)
);
CREATE INDEX revocations_logged ON {s}.revocations (logged, realm, id);
CREATE TABLE {s}.cutoffs (
	realm  bytea  NOT NULL,
	at     bigint NOT NULL,
	id     bytea  NOT NULL,
	data   bytea  NOT NULL,
	logged bigint NOT NULL,
	PRIMARY KEY (realm, at, id)
);
CREATE INDEX cutoffs_logged ON {s}.cutoffs (logged);
`, `
CREATE TABLE {s}.identity (
	one boolean PRIMARY KEY CHECK (one), -- there is one row
	id  bytea   NOT NULL
);
`, `
ALTER TABLE {s}.sessions ADD COLUMN sid_name bytea, ADD COLUMN sub_name bytea; -- logout.Names; NULL in older rows, too
CREATE INDEX sessions_sid ON {s}.sessions (realm, sid_name) WHERE sid_name IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX sessions_sub ON {s}.sessions (realm, sub_name) WHERE sub_name IS NOT NULL AND revoked_at IS NULL;
CREATE TABLE {s}.marks (
	realm bytea  NOT NULL,
	name  bytea  NOT NULL,
	at    bigint NOT NULL,
	until bigint NOT NULL,
	PRIMARY KEY (realm, name)
);
CREATE INDEX marks_until ON {s}.marks (until);
`, `
-- A realm is four bytes of its hash, where alignment left four bytes unused, and no id goes into
-- them. The release before finds what it looks for by the first column.
CREATE INDEX sessions_by_user ON {s}.sessions (user_key, impersonation, ({realm}), created_at) WHERE revoked_at IS NULL;
CREATE INDEX sessions_by_actor ON {s}.sessions (actor_key, ({realm}), created_at) WHERE impersonation AND revoked_at IS NULL;
-- The sum keeps the planner from reading this one, in order, for a user who has few.
CREATE INDEX sessions_impersonations ON {s}.sessions (({realm}), (created_at + 0)) WHERE impersonation AND revoked_at IS NULL;
CREATE INDEX sessions_by_sid ON {s}.sessions (sid_name, ({realm})) WHERE sid_name IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX sessions_by_sub ON {s}.sessions (sub_name, ({realm})) WHERE sub_name IS NOT NULL AND revoked_at IS NULL;
DROP INDEX {s}.sessions_user, {s}.sessions_actor, {s}.sessions_impersonation, {s}.sessions_sid, {s}.sessions_sub;
ALTER TABLE {s}.sessions SET (fillfactor = 85);
`}

func (s *statements) writeSchema(text func(string) string) {
	lock := int64(binary.BigEndian.Uint64(hash("schema", s.schema)))
	s.seesSchema = "SELECT has_schema_privilege(nspname, 'USAGE') FROM pg_catalog.pg_namespace WHERE nspname = $1"
	s.lockSchema = fmt.Sprintf("SELECT pg_advisory_xact_lock(%d) IS NULL", lock)
	s.makeSchema = text("CREATE SCHEMA IF NOT EXISTS {s}")
	s.makeVersion = text("CREATE TABLE {s}.version (version bigint NOT NULL, oldest bigint NOT NULL)")
	s.version = text("SELECT version, oldest FROM {s}.version")
	s.storeVersion = text(fmt.Sprintf("DELETE FROM {s}.version; INSERT INTO {s}.version VALUES (%d, %d)", schemaVersion, schemaOldest))
	s.migrations = make([]string, len(migrations))
	for i := range migrations {
		s.migrations[i] = text(migrations[i])
	}
}

// migrate brings the schema to the version of this release. If several nodes start at once, the
// first migrates and the others wait.
func (s *Store) migrate(ctx context.Context) error {
	version, err := s.version(ctx)
	if err == nil && version >= schemaVersion || errors.Is(err, ErrNewer) {
		return err
	}
	if missing(err) && s.opts.MustExist {
		return sessions.ErrNoStore
	}
	if err != nil && !missing(err) {
		return fmt.Errorf("reading the version of schema %s: %w", s.sql.schema, hint(err))
	}
	err = s.do(ctx, func(_ context.Context, conn *pgx.Conn) error {
		// The caller limits the time: tables may be large.
		return s.migrateOn(ctx, conn)
	})
	if err != nil && !errors.Is(err, ErrNewer) {
		return fmt.Errorf("migrating schema %s: %w", s.sql.schema, hint(err))
	}
	return err
}

// missing reports whether there is no version to read.
func missing(err error) bool { return code(err) == codeNoTable || code(err) == codeNoSchema }

// hint adds what to do about a missing privilege.
func hint(err error) error {
	if code(err) == codePrivilege {
		return errors.Join(err, errors.New("the role lacks a right: let a role that may create the schema start first, and grant what the package documents"))
	}
	return err
}

func (s *Store) version(ctx context.Context) (version int64, err error) {
	err = s.do(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
		version, err = s.versionOn(ctx, conn)
		return err
	})
	return version, err
}

func (s *Store) versionOn(ctx context.Context, conn *pgx.Conn) (version int64, err error) {
	oldest := int64(0)
	err = s.ask(ctx, conn, s.sql.version, new(args), func(r *reader) error {
		version, oldest = r.int(), r.int()
		return r.err
	})
	if err == nil && oldest > schemaVersion {
		err = ErrNewer
	}
	return version, err
}

// migrateOn migrates in one transaction, with a lock that ends with it: a pooler may use another
// connection for the next transaction.
func (s *Store) migrateOn(ctx context.Context, conn *pgx.Conn) (err error) {
	say := func(sql string) error {
		_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
		return err
	}
	if err := say("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 0"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = say("ROLLBACK")
		}
	}()
	if err := say(s.sql.lockSchema); err != nil {
		return err
	}
	if err := s.steps(ctx, conn, say); err != nil {
		return err
	}
	return say("COMMIT")
}

// steps performs the migrations that no other node performed while we waited for the lock.
func (s *Store) steps(ctx context.Context, conn *pgx.Conn, say func(string) error) error {
	if err := say("SAVEPOINT looking"); err != nil {
		return err
	}
	version, err := s.versionOn(ctx, conn)
	switch {
	case err == nil && version >= schemaVersion, errors.Is(err, ErrNewer):
		return err
	case missing(err):
		if err := s.begin(ctx, conn, say); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	return say(strings.Join(s.sql.migrations[version:], "") + s.sql.storeVersion)
}

// begin creates the schema and the table of its version. If the schema exists, no privilege to
// create one is needed.
func (s *Store) begin(ctx context.Context, conn *pgx.Conn, say func(string) error) error {
	if err := say("ROLLBACK TO SAVEPOINT looking"); err != nil {
		return err
	}
	there := false
	err := s.ask(ctx, conn, s.sql.seesSchema, new(args).string(s.opts.Schema), func(r *reader) error {
		there = true
		return nil
	})
	if err != nil {
		return err
	}
	if !there {
		if err := say(s.sql.makeSchema); err != nil {
			return err
		}
	}
	s.opts.Log.Info("there was no session store: a new one is made", "schema", s.opts.Schema)
	return say(s.sql.makeVersion)
}
