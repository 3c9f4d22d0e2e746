package pgstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/storedrow"
)

// The versions that this release knows. A release that changes the tables in a way that this one
// can still use adds a migration and leaves schemaOldest unchanged; otherwise it raises
// schemaOldest to its own version.
const (
	schemaVersion = 4
	schemaOldest  = 1 // the oldest release that may use what this one migrated
)

// migrations lead from each version to the next, beginning with an empty schema.
var migrations = []statement{say(`
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
`), say(`
CREATE TABLE {s}.identity (
	one boolean PRIMARY KEY CHECK (one), -- there is one row
	id  bytea   NOT NULL
);
`), say(`
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
`), say(`
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
`)}

var (
	sqlThere        = say("SELECT to_regnamespace($1) IS NOT NULL, to_regclass($1 || '.version') IS NOT NULL")
	sqlMakeSchema   = say("CREATE SCHEMA {s}")
	sqlMakeVersion  = say("CREATE TABLE {s}.version (version bigint NOT NULL, oldest bigint NOT NULL)")
	sqlVersion      = say("SELECT version, oldest FROM {s}.version")
	sqlStoreVersion = say(fmt.Sprintf("DELETE FROM {s}.version; INSERT INTO {s}.version VALUES (%d, %d)", schemaVersion, schemaOldest))
)

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
		return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error { return s.migrateOn(ctx, tx) })
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
		version, err = readVersion(conn.QueryRow(ctx, s.text(sqlVersion)))
		return err
	})
	return version, err
}

func readVersion(row pgx.Row) (version int64, err error) {
	oldest := int64(0)
	if err = row.Scan(&version, &oldest); err == nil && oldest > schemaVersion {
		err = ErrNewer
	}
	return version, err
}

// migrateOn migrates with a lock that ends with the transaction: a pooler may use another connection
// for the next one.
func (s *Store) migrateOn(ctx context.Context, tx pgx.Tx) error {
	lock := int64(binary.BigEndian.Uint64(storedrow.Hash("schema", s.sql.schema)))
	if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(%d)", lock)); err != nil {
		return err
	}
	// Another node may have migrated while we waited for the lock. If the schema exists, no privilege to
	// create one is needed.
	var schema, table bool
	if err := tx.QueryRow(ctx, s.text(sqlThere), s.sql.schema).Scan(&schema, &table); err != nil {
		return err
	}
	version, steps := int64(0), []statement(nil)
	if !schema {
		steps = append(steps, sqlMakeSchema)
	}
	if table {
		var err error
		if version, err = readVersion(tx.QueryRow(ctx, s.text(sqlVersion))); err != nil || version >= schemaVersion {
			return err
		}
	} else {
		s.opts.Log.Info("there was no session store: a new one is made", "schema", s.opts.Schema)
		steps = append(steps, sqlMakeVersion)
	}
	for _, step := range slices.Concat(steps, migrations[version:], []statement{sqlStoreVersion}) {
		if _, err := tx.Exec(ctx, s.text(step)); err != nil {
			return err
		}
	}
	return nil
}
