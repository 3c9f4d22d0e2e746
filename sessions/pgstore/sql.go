package pgstore

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"authsidecar/sessions/internal/storedrow"
)

// A statement is an SQL statement, by its index in templates. If a time matters, it is $1; NULL means
// the server's time.
type statement int

// templates are all statements, before newStatements fills in what differs.
var templates []string

// say adds a statement.
func say(template string) statement {
	templates = append(templates, template)
	return statement(len(templates) - 1)
}

// now is a table with one row, the time, which a statement reads once.
const now = "(SELECT coalesce($1::bigint, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) AS ms) AS clock"

// logged is the part of a statement that logs which rows of "ended" were revoked, so that nobody
// misses them after they are swept.
const logged = `logged AS (
	INSERT INTO {s}.revocations (realm, id, at, logged)
	SELECT ended.realm, ended.id, ended.revoked_at, clock.ms FROM ended, ` + now + ` WHERE ended.revoked_at IS NOT NULL
	ON CONFLICT (realm, id) DO UPDATE SET at = excluded.at, logged = excluded.logged
)`

// notice is the expression that notifies of a row of "ended"; name is the argument with its name.
func notice(name int) string {
	return fmt.Sprintf("{notify}'r ' || ended.revoked_at || ' ' || $%d{notified}", name)
}

// realmHash is the hash of a realm in an index.
const realmHash = "substr(sha256(realm), 1, 4)"

// inRealm selects the rows of a realm, using an index with its hash.
func inRealm(arg string) string {
	return "realm = " + arg + " AND " + realmHash + " = substr(sha256(" + arg + "), 1, 4)"
}

// statements are those of a schema.
type statements struct {
	schema  string // quoted
	channel string
	silent  bool // without NOTIFY
	texts   []string
}

// newStatements returns the statements for a schema.
func newStatements(schema string) *statements {
	s := &statements{schema: pgx.Identifier{schema}.Sanitize(), channel: fmt.Sprintf("authsidecar_%x", storedrow.Hash("channel", schema))}
	s.write("pg_notify('"+s.channel+"', ", ")::text")
	return s
}

// withoutNotify is for a database that does not support NOTIFY.
func (s *statements) withoutNotify() {
	s.silent = true
	s.write("left(", ", 0)") // the statement must use each of its arguments
}

// write fills in the names, and what precedes and follows the text of a notification.
func (s *statements) write(notify, notified string) {
	words := strings.NewReplacer("{s}", s.schema, "{now}", now, "{columns}", columns, "{realm}", realmHash,
		"{in $1}", inRealm("$1"), "{in $2}", inRealm("$2"), "{most}", strconv.Itoa(maxCounted+1), "{notify}", notify, "{notified}", notified)
	s.texts = make([]string, len(templates))
	for i := range templates {
		s.texts[i] = words.Replace(templates[i])
	}
}

// text returns the statement for the store's schema.
func (s *Store) text(sql statement) string { return s.sql.texts[sql] }

const (
	sqlInsert = `INSERT INTO {s}.sessions (realm, id, rev, format, holder, expires_at, idle, due_at, generation, secret, secret_prev, kid,
		rotated_at, rotated_from, revoked_at, end_reason, data, user_key, actor_key, impersonation, created_at, sid_name, sub_name)
`

	// sqlCount counts the others, up to a limit.
	sqlCount = `(SELECT count(*) FROM (SELECT 1 FROM {s}.sessions
	WHERE {in $2} AND user_key = $19 AND impersonation = $21 AND revoked_at IS NULL LIMIT {most}) AS others)`
)

var (
	sqlPing   = say("SELECT clock.ms FROM {now}")
	sqlNotify = say("SELECT {notify}$1{notified}")
	sqlLock   = say("SELECT pg_advisory_xact_lock($1) IS NULL")

	sqlIdentity     = say("SELECT id FROM {s}.identity")
	sqlMakeIdentity = say("INSERT INTO {s}.identity (one, id) VALUES (true, $1) ON CONFLICT (one) DO NOTHING")

	sqlGet  = say("SELECT clock.ms, {columns} FROM {s}.sessions, {now} WHERE realm = $2 AND id = $3")
	sqlScan = say("SELECT realm, id, {columns} FROM {s}.sessions WHERE (realm, id) >= ($1, $2) ORDER BY realm, id LIMIT $3")

	sqlRealmOfRows    = say("SELECT realm FROM {s}.sessions WHERE realm >= $1 ORDER BY realm LIMIT 1")
	sqlRealmOfCutoffs = say("SELECT realm FROM {s}.cutoffs WHERE realm >= $1 ORDER BY realm LIMIT 1")
	sqlRealmOfMarks   = say("SELECT realm FROM {s}.marks WHERE realm >= $1 ORDER BY realm LIMIT 1")

	// sqlBegin inserts a row that begins by the server's clock and after all cutoffs. $7 and $9 are
	// by the node's clock, like $14 and $22, its creation times there.
	sqlBegin = say(sqlInsert + `	SELECT $2, $3, $4, $5, $6, $7::bigint - $14::bigint + ms, $8, $9::bigint - $22::bigint + ms, $10, $11, $12, $13, ms, $15, $16, $17, $18, $19, $20, $21,
		greatest(ms, (SELECT max(at) + 1 FROM {s}.cutoffs WHERE realm = $2)), $23, $24 FROM {now}
	ON CONFLICT (realm, id) DO NOTHING RETURNING rotated_at, created_at, ` + sqlCount)

	// sqlCreate inserts a row, or returns the existing one. The rest of the statement does not see
	// the inserted row yet.
	sqlCreate        = say(creating("", "NULL::text"))
	sqlCreateRevoked = say(creating(", "+logged, "(SELECT "+notice(25)+" FROM ended)"))

	// sqlUpdate is the compare-and-set.
	sqlUpdate         = say(updating("", "NULL::text"))
	sqlUpdateRevoking = say(updating(", "+logged, notice(19)))

	// sqlRotate is Rotation.Present for the live token. It changes no indexed column, so PostgreSQL
	// writes no index (a HOT update).
	sqlRotate = say(`UPDATE {s}.sessions
SET generation = $7, secret_prev = secret, secret = $8, kid = $9, rotated_from = $10,
	rotated_at = greatest(rotated_at, clock.ms), rev = rev + 1
FROM {now}
WHERE realm = $2 AND id = $3 AND generation = $4 AND secret = $5 AND holder = $6 AND format <= $11
	AND revoked_at IS NULL AND clock.ms < expires_at AND clock.ms < rotated_at + idle
RETURNING clock.ms, {columns}`)

	sqlRevoke = say(`WITH ended AS (
	UPDATE {s}.sessions SET revoked_at = clock.ms, end_reason = $4, due_at = least(due_at, clock.ms + $5), rev = rev + 1
	FROM {now} WHERE realm = $2 AND id = $3 AND revoked_at IS NULL AND format <= $6
	RETURNING realm, id, {columns}, clock.ms
), ` + logged + `
SELECT ms, true, {columns}, ` + notice(7) + ` FROM ended
UNION ALL
SELECT clock.ms, false, {columns}, NULL FROM {s}.sessions, {now}
WHERE realm = $2 AND id = $3 AND NOT EXISTS (SELECT 1 FROM ended)`)

	// sqlSweep reads rows by due_at, which is PurgeAt or earlier. Rows that are due are deleted;
	// the others get a new due_at.
	sqlSweep = say(`WITH clock AS (SELECT ms FROM {now}), due AS (
	SELECT realm, id, least(expires_at, rotated_at + idle, coalesce(revoked_at + $3, expires_at)) AS purge FROM {s}.sessions
	WHERE due_at <= (SELECT ms FROM clock) ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
), moved AS (
	UPDATE {s}.sessions SET due_at = due.purge FROM due
	WHERE sessions.realm = due.realm AND sessions.id = due.id AND due.purge > (SELECT ms FROM clock)
), gone AS (
	DELETE FROM {s}.sessions USING due
	WHERE sessions.realm = due.realm AND sessions.id = due.id AND due.purge <= (SELECT ms FROM clock)
	RETURNING sessions.realm, sessions.id, {columns}
)
SELECT clock.ms, found.n, gone.id IS NOT NULL, gone.* FROM clock, (SELECT count(*) AS n FROM due) AS found LEFT JOIN gone ON true`)

	// sqlForget truncates the log of revocations.
	sqlForget = say(`DELETE FROM {s}.revocations WHERE (realm, id) IN (
	SELECT realm, id FROM {s}.revocations WHERE logged < (SELECT ms FROM {now}) - $2 ORDER BY logged LIMIT $3 FOR UPDATE SKIP LOCKED)`)

	// sqlLog reads the log of revocations from a position, and the time.
	sqlLog = say(`SELECT clock.ms, log.id IS NOT NULL, log.* FROM {now} LEFT JOIN (
	SELECT realm, id, at, logged FROM {s}.revocations WHERE (logged, realm, id) >= ($2, $3, $4)
	ORDER BY logged, realm, id LIMIT $5) AS log ON true`)

	sqlCutoffs       = say("SELECT realm, id, at, data FROM {s}.cutoffs WHERE realm = $1 ORDER BY at, id")
	sqlRecentCutoffs = say("SELECT realm, id, at, data FROM {s}.cutoffs WHERE logged >= $1 ORDER BY logged")
	sqlRemoveCutoff  = say("DELETE FROM {s}.cutoffs WHERE realm = $1 AND at = $2 AND id = $3")

	// sqlAddCutoff adds a cutoff at $4, or now but not before $7.
	sqlAddCutoff = say(`WITH stamp AS (SELECT clock.ms, coalesce($4, greatest(clock.ms, $7)) AS at FROM {now}), added AS (
	INSERT INTO {s}.cutoffs (realm, id, at, data, logged) SELECT $2, $3, at, $5, ms FROM stamp
	ON CONFLICT (realm, at, id) DO UPDATE SET data = excluded.data, logged = excluded.logged
)
SELECT stamp.ms, stamp.at, {notify}CASE WHEN $6 = '' THEN '` + noticeLook + `' ELSE 'c ' || stamp.at || ' ' || $6 END{notified} FROM stamp`)
)

func creating(more, notify string) string {
	return `WITH ended AS (
	` + sqlInsert + `	VALUES ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)
	ON CONFLICT (realm, id) DO NOTHING RETURNING realm, id, revoked_at
)` + more + `
SELECT clock.ms, EXISTS (SELECT 1 FROM ended), ` + sqlCount + `, old.*, ` + notify + `
FROM {now} LEFT JOIN (SELECT {columns} FROM {s}.sessions WHERE realm = $2 AND id = $3) AS old ON true`
}

func updating(more, notify string) string {
	return `WITH ended AS (
	UPDATE {s}.sessions SET format = $5, holder = $6, expires_at = $7, idle = $8, due_at = least(due_at, $9), generation = $10,
		secret = $11, secret_prev = $12, kid = $13, rotated_at = $14, rotated_from = $15, revoked_at = $16, end_reason = $17,
		data = $18, rev = rev + 1
	WHERE realm = $2 AND id = $3 AND rev = $4 RETURNING realm, id, revoked_at
)` + more + `
SELECT clock.ms, ` + notify + ` FROM ended, {now}`
}
