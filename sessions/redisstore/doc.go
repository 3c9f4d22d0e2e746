// Package redisstore keeps sessions in a Redis, or a Redis Cluster, that several nodes
// share.
//
//	Create, Rotate, Revoke   one script, one round trip; in a cluster two
//	Update                   read, decide, compare-and-set of the row; again if another was faster
//	Follow                   SUBSCRIBE on a connection apart
//
// The server's clock decides: each script reads it once. What begins is put after the
// newest cutoff, and a cutoff no sooner than the newest session that it ends: so their order
// needs no clock, and a failover to a server whose clock is behind changes nothing. The
// server must be Redis 6.2 or what is like it, and not evict (maxmemory-policy noeviction).
//
// # The keys
//
//	{prefix}:row:{realm, id}         string: the row; it goes by itself a day after its PurgeAt
//	{prefix}:user:{kind}:{hash}      sorted set: sessions of a user that are not revoked
//	{prefix}:actor:{hash}            impersonations by an actor
//	{prefix}:tree:realm:{kind}:{...} tree: sessions of a realm that are not revoked
//	{prefix}:tree:all:{n}            all rows, in the order of Scan
//	{prefix}:tree:due:{n}            all rows, by PurgeAt or before
//	{prefix}:realms                  hash: realms, by the hashes that the others name them by
//	{prefix}:name:{hash}             sorted set: sessions by what their caller's token called them
//	{prefix}:mark:{hash}             hash: what an issuer ended, and when
//	{prefix}:marked:{hash}           sorted set: the names of those of a realm
//	{prefix}:marked                  sorted set: the realms that have some
//	{prefix}:log:{n}                 who was ended, by when, for two hours
//	{prefix}:cutoffs                 hash: those of bulk revocations
//	{prefix}:place:{...}             the place of the newest of these, in their slot
//	{prefix}:layout                  version of all this: 2; another one is not opened
//	{prefix}:identity                a text that no other store has
//	{prefix}:feed:{db}               the channel
//
// A tree is a sorted set in leaves, sorted sets of at most 32 members, which Redis keeps close
// together as long as no member has over 64 bytes (zset-max-listpack-entries 128 and
// zset-max-listpack-value 64, the defaults): a member takes some 60 bytes there, and 200 in one
// large set. {tree}:{first member} is a leaf, and {tree}: the first one; {tree} itself has the names
// of all others. In a cluster a tree is in one slot, that of what stands in its braces.
//
// A session of a browser takes about 1,200 bytes of the server's memory: half of them are the row.
//
// # A cluster
//
// A script touches keys of one slot there: one, or a tree, or the trees of one n. What an index
// holds is written before the row, so that what exists is listed; and what is listed is read again,
// so that what an index holds beyond that leads nowhere. An entry has a nonce of its row, and is of
// no other. A sweep finds what was left behind by a call that broke off. Since the indexes need it
// first, a session begins at the time that this node estimates; the newest cutoff is asked for
// beside it.
//
// # What is acknowledged
//
// A script that is answered is written as appendfsync says: nothing of it is lost in a
// crash with "always", up to a second with "everysec". Replicas follow later: what a
// failover loses is what they had not yet, unless Options.Replicas demands them. A
// session whose rotation was lost so is ahead of the store: its next refresh ends it
// (sessions.EndStoreBehind). A revocation that was lost is lost. When no answer
// comes, the outcome is unknown, and the error is sessions.ErrUnavailable.
//
// # Rights
//
// The least an ACL user needs; without config|get the server is not asked whether it
// persists:
//
//	ACL SETUSER sidecar on >password ~auth_sessions:* &auth_sessions:* -@all
//	  +@connection +@read +@scripting +hset +hdel +set +del +pexpire
//	  +zadd +zrem +time +publish +subscribe +unsubscribe +wait +info +config|get
//	  +cluster|slots +cluster|shards
package redisstore
