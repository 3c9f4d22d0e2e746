package redisstore

import (
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"authsidecar/sessions/internal/storedrow"
)

// Each transition is a script on one row: KEYS[1]. Its first argument is the time, or "" for the
// server's; its result begins with the time that it used. On a single server ("whole") it also
// updates the indexes, deriving their names from the row; in a cluster they are on other nodes, and
// follow in separate calls.

// margin is how long after its PurgeAt a row waits for a sweep before it expires by itself, in
// milliseconds.
const margin = int64(24 * time.Hour / time.Millisecond)

// luaCreate: label, realm, creation time by the node's clock or "", row. A session that begins does
// so by the server's clock, with a position after all cutoffs (in a cluster, that was done before).
// {time, 1, count, created at} or {time, 0, 0, row}.
const luaCreate = `
local old = call('GET', row)
if old then return { ms(now), 0, 0, old } end
local r, begins, count, created = decode(ARGV[5]), tonumber(ARGV[4]), 0, 0
if begins then
  created = math.max(now, tonumber(call('GET', newest) or '0') + 1)
  r.c, r.t, r.x = place(created), place(now), place(time(r.x) + now - begins)
end
r.q = place(purge(r))
save(r)
if whole then
  claim(P .. 'realms', string.sub(id(), 1, {realm}), ARGV[3])
  count = call('ZCARD', user(r))
end
scanned(r, add)
due(r.q, r, add)
if r.e == never then listed(r, add) else revoked(ARGV[2], ms(time(r.e))) end
return { ms(now), 1, count, ms(created) }
`

// luaGet: {time, row}.
const luaGet = `
return { ms(now), call('GET', row) }
`

// luaUpdate: the row that it was read as, the new row, label. {time, written}.
const luaUpdate = `
if call('GET', row) ~= ARGV[2] then return { ms(now), 0 } end
local was, r = decode(ARGV[2]), decode(ARGV[3])
save(r)
if (r.e == never) ~= (was.e == never) then listed(r, r.e == never and add or remove) end
if r.e ~= never and r.e ~= was.e then revoked(ARGV[4], ms(time(r.e))) end
return { ms(now), 1 }
`

// luaRotate is Rotation.Present for the live token: generation, secret, holder; then the next
// generation, secret, key id, address; our format. {time, row} or {time}.
const luaRotate = `
local r = read()
if not r or r.g ~= ARGV[2] or r.s ~= ARGV[3] or r.h ~= ARGV[4] or r.e ~= never or string.byte(r.f) > tonumber(ARGV[9]) then
  return { ms(now) }
end
if now >= purge(r) then return { ms(now) } end
r.t = place(math.max(time(r.t), now))
r.g, r.p, r.s, r.k, r.o = ARGV[5], r.s, ARGV[6], ARGV[7], ARGV[8]
return { ms(now), save(r) }
`

// luaRevoke: reason, our format, label. {time, ended, row, its time in the index of due rows}.
const luaRevoke = `
local r = read()
if not r or r.e ~= never or string.byte(r.f) > tonumber(ARGV[3]) then return { ms(now), 0, call('GET', row), '' } end
local was = r.q
r.e, r.w = place(now), ARGV[2]
local v = save(r)
listed(r, remove)
revoked(ARGV[4], ms(now))
return { ms(now), 1, v, was }
`

// luaSweep: nonce. {time, "due" or "over" or "revoked", row, PurgeAt} if the row existed, and else
// {time, "gone"}: there was no such row, or another one.
const luaSweep = `
local r = read()
if not r or r.n ~= ARGV[2] then return { ms(now), 'gone' } end
local at, v = purge(r), call('GET', row)
if at > now then
  save(r, true)
  return { ms(now), 'due', v, ms(at) }
end
call('DEL', row)
listed(r, remove)
scanned(r, remove)
due(r.q, r, remove)
return { ms(now), r.e == never and 'over' or 'revoked', v, ms(at) }
`

// luaIndex: any number of "+" or "-", key in the same slot, member. {time, size of KEYS[1]}.
const luaIndex = `
for i = 2, #ARGV, 3 do
  local change = ARGV[i] == '+' and add or remove
  change(ARGV[i + 1], ARGV[i + 2])
end
return { ms(now), call('ZCARD', row) }
`

// luaWalk reads an index: after which text, how many, "back" or "". {time, members}.
const luaWalk = `
local from, n, back = ARGV[2], tonumber(ARGV[3]), ARGV[4] == 'back'
local range, far = back and 'ZREVRANGEBYLEX' or 'ZRANGEBYLEX', back and '-' or '+'
local all, l = {}, leaf(row, from)
repeat
  for _, m in ipairs(call(range, l, '(' .. from, far, 'LIMIT', 0, n - #all)) do all[#all + 1] = m end
  if l == row then break end
  local name = string.sub(l, #row + 2)
  local nextname = call(range, row, '(' .. name, far, 'LIMIT', 0, 1)[1]
  if back and name ~= '' then nextname = nextname or '' end
  l = nextname and row .. ':' .. nextname
until not l or #all >= n
return { ms(now), all }
`

// luaTrim truncates a log: age, how many. {time, how many}.
const luaTrim = `
local old = call('ZRANGEBYSCORE', row, '-inf', '(' .. ms(now - tonumber(ARGV[2])), 'LIMIT', 0, ARGV[3])
if #old > 0 then call('ZREM', row, unpack(old)) end
return { ms(now), #old }
`

// luaName adds to a name: id, until when. It removes some expired ids: more than it adds. {time}.
const luaName = `
call('ZADD', row, ARGV[3], ARGV[2])
for _, over in ipairs(call('ZRANGEBYSCORE', row, '-inf', ms(now), 'LIMIT', 0, 100)) do call('ZREM', row, over) end
keep(tonumber(call('ZRANGE', row, -1, -1, 'WITHSCORES')[2] or '0'))
return { ms(now) }
`

// luaClaim: hash, realm. {time, the realm whose hash that is}.
const luaClaim = `
return { ms(now), claim(row, ARGV[2], ARGV[3]) }
`

// luaMark: at, until. Keeps the later ones. {time}.
const luaMark = `
local at, till = tonumber(ARGV[2]), tonumber(ARGV[3])
local c = call('HMGET', row, 'at', 'until')
if c[1] then at, till = math.max(at, tonumber(c[1])), math.max(till, tonumber(c[2])) end
call('HSET', row, 'at', ms(at), 'until', ms(till))
keep(till)
return { ms(now) }
`

// luaLog: label, time. Publishes it too, for nodes that began to listen meanwhile. {time}.
const luaLog = `
call('ZADD', row, ARGV[3], ARGV[2])
call('PUBLISH', feed, 'r ' .. ARGV[3] .. ' ' .. ARGV[2])
return { ms(now) }
`

// luaAddCutoff: at, encoded by place, or "" and the newest session that it must cover; label,
// value. KEYS[2] is the position of the newest cutoff. {time, at}.
const luaAddCutoff = `
local at, field = tonumber(ARGV[2]), ARGV[3]
if not at then
  at = math.max(now, tonumber(ARGV[3]))
  field = place(at)
end
call('HSET', row, field .. ARGV[4], ARGV[5])
if at > tonumber(call('GET', KEYS[2]) or '0') then call('SET', KEYS[2], ms(at)) end
call('PUBLISH', feed, 'c ' .. ms(at) .. ' ' .. ARGV[4] .. ARGV[5])
return { ms(now), ms(at) }
`

// luaLayout: what to store if there is nothing. {time, what is stored}.
const luaLayout = `
call('SET', row, ARGV[2], 'NX')
return { ms(now), call('GET', row) }
`

// A script is a script that the server caches after it was first used.
type script struct {
	lua   *rueidis.Lua
	text  string
	write bool
}

// scripts are the scripts for one prefix.
type scripts struct {
	create, get, update, rotate, revoke, sweep, index, walk, trim, log *script
	addCutoff, layout, name, mark, claim                               *script
}

func newScripts(prefix keys, whole bool, feed string) *scripts {
	values := strings.NewReplacer(
		"{prefix}", string(prefix), "{whole}", strconv.FormatBool(whole), "{kept}", strconv.FormatInt(storedrow.KeptRevoked, 10),
		"{margin}", strconv.FormatInt(margin, 10), "{feed}", feed, "{place}", prefix.place(), "{form}", header,
		"{hash}", strconv.Itoa(hashSize), "{realm}", strconv.Itoa(realmSize), "{leaf}", strconv.Itoa(leafSize),
	)
	write := func(lua string) *script {
		text := values.Replace(luaHead + lua)
		return &script{lua: rueidis.NewLuaScript(text), text: text, write: true}
	}
	read := func(lua string) *script {
		text := values.Replace(luaHead + lua)
		return &script{lua: rueidis.NewLuaScriptReadOnly(text), text: text}
	}
	return &scripts{
		create: write(luaCreate), get: read(luaGet), update: write(luaUpdate), rotate: write(luaRotate), revoke: write(luaRevoke),
		sweep: write(luaSweep), index: write(luaIndex), walk: read(luaWalk), trim: write(luaTrim), log: write(luaLog),
		addCutoff: write(luaAddCutoff), layout: write(luaLayout), name: write(luaName), mark: write(luaMark),
		claim: write(luaClaim),
	}
}
