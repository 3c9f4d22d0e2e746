// Package redisstore stores sessions in Redis, or a Redis Cluster, that several nodes can share.
//
//	Create, Rotate, Revoke   one script, one round trip; in a cluster two
//	Update                   read, decide, compare-and-set of the row; again after a conflict
//	Follow                   SUBSCRIBE on a separate connection
//
// The server's clock decides: each script reads it once. A session that begins gets a position
// after the newest cutoff, and a cutoff one that is not before the newest session that it revokes:
// so their order does not depend on the clock, even after a failover to a server whose clock is
// behind. The server must be Redis 6.2 or compatible, and must not evict keys (maxmemory-policy
// noeviction).
//
// # The keys
//
//	{prefix}:row:{realm, id}         string: the row; it expires a day after its PurgeAt
//	{prefix}:user:{kind}:{hash}      sorted set: unrevoked sessions of a user
//	{prefix}:actor:{hash}            impersonations by an actor
//	{prefix}:tree:realm:{kind}:{...} tree: unrevoked sessions of a realm
//	{prefix}:tree:all:{n}            all rows, in the order of Scan
//	{prefix}:tree:due:{n}            all rows, by PurgeAt or earlier
//	{prefix}:realms                  hash: realms, by the hashes in other keys; they stay for ever
//	{prefix}:name:{hash}             sorted set: sessions by the issuer's names (package logout)
//	{prefix}:mark:{hash}             hash: a mark of a logout
//	{prefix}:marked:{hash}           sorted set: the names of a realm's marks
//	{prefix}:marked                  sorted set: the realms that have marks
//	{prefix}:log:{n}                 what was revoked, by time, for two hours
//	{prefix}:cutoffs                 hash: cutoffs
//	{prefix}:place:{...}             the position of the newest cutoff, in their slot
//	{prefix}:layout                  version of all this: 2; no other is opened
//	{prefix}:identity                a text that no other store has
//	{prefix}:feed:{db}               the channel
//
// A tree is a sorted set split into leaves: sorted sets of at most 32 members, which Redis stores
// compactly as long as no member exceeds 64 bytes (zset-max-listpack-entries 128 and
// zset-max-listpack-value 64, the defaults). A member takes about 60 bytes there, and 200 in one
// large set. {tree}:{first member} is a leaf, and {tree}: the first one; {tree} itself contains the
// names of all others. In a cluster, a tree is in the slot of the text in its braces.
//
// A session of a browser takes about 1,200 bytes of the server's memory; half of that is the row.
//
// # Clusters
//
// In a cluster, a script accesses keys of one slot: one key, a tree, or the trees of one n. Index
// entries are written before the row, so that every row that exists is listed. Listed rows are read
// again, so additional entries do no harm. An entry contains a nonce of its row, and matches no
// other. A sweep finds what an interrupted call left behind. Since the indexes need the creation
// time first, a session begins at the server's time as this node estimates it, and the position of
// the newest cutoff is read as well.
//
// # Durability
//
// The result of an acknowledged script is durable as appendfsync says: a crash loses nothing with
// "always", and up to a second with "everysec". Replicas lag behind: a failover loses what they did
// not have yet, unless Options.Replicas requires them. If a rotation was lost, the client is ahead
// of the store, and its next refresh revokes the session (sessions.EndStoreBehind). A lost
// revocation is lost. If no response arrives, the outcome is unknown, and the error is
// sessions.ErrUnavailable.
//
// # Permissions
//
// The minimum for an ACL user; without config|get the persistence of the server is not checked:
//
//	ACL SETUSER sidecar on >password ~auth_sessions:* &auth_sessions:* -@all
//	  +@connection +@read +@scripting +hset +hdel +set +del +pexpire
//	  +zadd +zrem +time +publish +subscribe +unsubscribe +wait +info +config|get
//	  +cluster|slots +cluster|shards
package redisstore
