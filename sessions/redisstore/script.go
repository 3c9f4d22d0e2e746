package redisstore

import (
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"authsidecar/sessions/internal/storedrow"
)

// Each transition is one script, on one row: KEYS[1]. Its first argument is the time,
// or "" where the server's clock decides; the first of its answer is the time it went
// by. On a single server ("whole") it does the indexes as well, whose names it makes
// from the row; in a cluster they are elsewhere, and follow in calls of their own.

// margin is for how long after its PurgeAt a row waits for a sweep before it goes by
// itself, in milliseconds.
const margin = int64(24 * time.Hour / time.Millisecond)

//nolint:dupword // Lua ends much with end
const luaHead = `
local P, whole, kept, margin, feed, newest = '{prefix}', {whole}, {kept}, {margin}, '{feed}', '{place}'
local row, now = KEYS[1], tonumber(ARGV[1])
local function call(...) return redis.call(...) end
local function ms(n) return string.format('%.0f', n) end
if not now then
  local t = call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local function purge(e, x, t, d)
  local at = math.min(tonumber(x), tonumber(t) + tonumber(d))
  if e ~= '' then at = math.min(at, tonumber(e) + kept) end
  return at
end
local function read() return call('HMGET', row, {fields}) end
local function keep(at) call('PEXPIRE', row, ms(math.max(at - now, 0) + margin)) end
-- as place in Go, from 1970 on
local function place(at)
  local b = ''
  for _ = 1, 7 do
    b = string.char(at % 256) .. b
    at = math.floor(at / 256)
  end
  return '\128' .. b
end
local function label(m) return string.sub(m, 1, -{tail} - 1) end
local function placed(m, at) return label(m) .. place(at) .. string.sub(m, -{tail} + 8) end
local function user(m)
  local tail = string.sub(m, -{tail})
  return P .. 'user:' .. string.sub(tail, 17, 17) .. ':' .. string.sub(tail, 40, 61)
end
local function listed(m, yes)
  if not whole then return end
  local l, tail = label(m), string.sub(m, -{tail})
  local _, cut = string.find(l, '\0\0', 1, true)
  local e = string.sub(tail, 1, 8) .. string.sub(l, cut + 1) .. string.sub(tail, 9, 16)
  local kind = string.sub(tail, 17, 17)
  local keys = { user(m), P .. 'realm:' .. kind .. ':' .. string.sub(tail, 18, 39) }
  if kind == 'i' then keys[3] = P .. 'actor:' .. string.sub(tail, 62) end
  for _, key in ipairs(keys) do
    if yes then call('ZADD', key, 0, e) else call('ZREM', key, e) end
  end
end
local function due(m, at)
  if whole then call('ZADD', P .. 'due:0', 'LT', ms(at), m) end
end
local function ended(m, at)
  if whole then call('ZADD', P .. 'log:0', at, label(m)) end
  call('PUBLISH', feed, 'r ' .. at .. ' ' .. label(m))
end
`

// luaCreate: mark, PurgeAt, revoked at, when it begins by the clock of the node or "",
// fields and values. What begins does so by the server's clock, and its place is after all
// cutoffs: in a cluster that is seen to before. {time, 1, count, created at} or {time, 0,
// 0, row}.
const luaCreate = `
local old = read()
if old[1] then return { ms(now), 0, 0, old } end
local m, at, e, begins = ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local count, created, late = 0, 0, 0
if begins then
  created = math.max(now, tonumber(call('GET', newest) or '0') + 1)
  m, late = placed(m, created), now - begins
end
call('HSET', row, 'm', m, 'v', 1, unpack(ARGV, 6))
if late ~= 0 then
  call('HINCRBY', row, 'x', ms(late))
  call('HINCRBY', row, 't', ms(late))
end
keep(at + late)
due(m, at + late)
if whole then
  call('ZADD', P .. 'all:0', 0, m)
  count = call('ZCARD', user(m))
end
if e == '' then listed(m, true) else ended(m, e) end
return { ms(now), 1, count, ms(created) }
`

// luaGet: {time, row}.
const luaGet = `
return { ms(now), read() }
`

// luaUpdate: mark, revision, PurgeAt, revoked at, fields and values. {time, written}.
const luaUpdate = `
local c = call('HMGET', row, 'm', 'v', 'e')
local m, e = ARGV[2], ARGV[5]
if c[1] ~= m or c[2] ~= ARGV[3] then return { ms(now), 0 } end
call('HSET', row, unpack(ARGV, 6))
call('HINCRBY', row, 'v', 1)
keep(tonumber(ARGV[4]))
due(m, tonumber(ARGV[4]))
if (e == '') ~= (c[3] == '') then listed(m, e == '') end
if e ~= '' and e ~= c[3] then ended(m, e) end
return { ms(now), 1 }
`

// luaRotate is Rotation.Present of the live token: generation, secret, holder; then
// the next generation, secret, key id, address; our format. {time, row} or {time}.
const luaRotate = `
local c = call('HMGET', row, 'g', 's', 'h', 'e', 'x', 't', 'd', 'f')
if not c[1] or c[1] ~= ARGV[2] or c[2] ~= ARGV[3] or c[3] ~= ARGV[4] or c[4] ~= '' or tonumber(c[8]) > tonumber(ARGV[9]) then
  return { ms(now) }
end
local t, d, x = tonumber(c[6]), tonumber(c[7]), tonumber(c[5])
if now >= x or now >= t + d then return { ms(now) } end
t = math.max(t, now)
call('HSET', row, 'g', ARGV[5], 's', ARGV[6], 'p', c[2], 'k', ARGV[7], 'o', ARGV[8], 't', ms(t))
call('HINCRBY', row, 'v', 1)
keep(math.min(x, t + d))
return { ms(now), read() }
`

// luaRevoke: reason, our format. {time, ended, row}.
const luaRevoke = `
local c = call('HMGET', row, 'm', 'e', 'f', 'x', 't', 'd')
local did = 0
if c[1] and c[2] == '' and tonumber(c[3]) <= tonumber(ARGV[3]) then
  local at = purge(ms(now), c[4], c[5], c[6])
  call('HSET', row, 'e', ms(now), 'w', ARGV[2])
  call('HINCRBY', row, 'v', 1)
  keep(at)
  due(c[1], at)
  listed(c[1], false)
  ended(c[1], ms(now))
  did = 1
end
return { ms(now), did, read() }
`

// luaSweep: mark. What became of the row: {time, "due", PurgeAt}, {time, "over"},
// {time, "revoked"}, {time, "gone"}: it was not there, or is another.
const luaSweep = `
local m = ARGV[2]
local c = call('HMGET', row, 'm', 'e', 'x', 't', 'd')
local what = 'gone'
if c[1] == m then
  local at = purge(c[2], c[3], c[4], c[5])
  if at > now then
    if whole then call('ZADD', P .. 'due:0', ms(at), m) end
    return { ms(now), 'due', ms(at) }
  end
  call('DEL', row)
  what = c[2] == '' and 'over' or 'revoked'
end
if whole then
  listed(m, false)
  call('ZREM', P .. 'all:0', m)
  call('ZREM', P .. 'due:0', m)
end
return { ms(now), what }
`

// luaDue: how many. Of an index: {time, marks that are due, with their scores}.
const luaDue = `
return { ms(now), call('ZRANGEBYSCORE', row, '-inf', ms(now), 'WITHSCORES', 'LIMIT', 0, ARGV[2]) }
`

// luaTrim: age, how many. Shortens a log: {time, how many}.
const luaTrim = `
local old = call('ZRANGEBYSCORE', row, '-inf', '(' .. ms(now - tonumber(ARGV[2])), 'LIMIT', 0, ARGV[3])
if #old > 0 then call('ZREM', row, unpack(old)) end
return { ms(now), #old }
`

// luaAdd: member. To an index of a cluster: {time, size}.
const luaAdd = `
call('ZADD', row, 0, ARGV[2])
return { ms(now), call('ZCARD', row) }
`

// luaRemove: member. {time}.
const luaRemove = `
call('ZREM', row, ARGV[2])
return { ms(now) }
`

// luaSooner: member, score. {time}.
const luaSooner = `
call('ZADD', row, 'LT', ARGV[3], ARGV[2])
return { ms(now) }
`

// luaLater: member, score, the score that it has. {time}.
const luaLater = `
if call('ZSCORE', row, ARGV[2]) == ARGV[4] then call('ZADD', row, 'XX', ARGV[3], ARGV[2]) end
return { ms(now) }
`

// luaName: id, until when. Of a name: {time}. Some of what is over goes: more than comes.
const luaName = `
call('ZADD', row, ARGV[3], ARGV[2])
for _, over in ipairs(call('ZRANGEBYSCORE', row, '-inf', ms(now), 'LIMIT', 0, 100)) do call('ZREM', row, over) end
keep(tonumber(call('ZRANGE', row, -1, -1, 'WITHSCORES')[2] or '0'))
return { ms(now) }
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

// luaLog: label, time. Says it too, to those who began to listen meanwhile. {time}.
const luaLog = `
call('ZADD', row, ARGV[3], ARGV[2])
call('PUBLISH', feed, 'r ' .. ARGV[3] .. ' ' .. ARGV[2])
return { ms(now) }
`

// luaAddCutoff: at, as place gives it, or "" and the newest that it is to end; label, value. At
// KEYS[2] is the place of the newest cutoff. {time, at}.
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

// luaRemoveCutoff: field. {time}.
const luaRemoveCutoff = `
call('HDEL', row, ARGV[2])
return { ms(now) }
`

// luaLayout: what to put if nothing is there. {time, what is there}.
const luaLayout = `
call('SET', row, ARGV[2], 'NX')
return { ms(now), call('GET', row) }
`

// A script is text that the server keeps once it has seen it.
type script struct {
	lua   *rueidis.Lua
	text  string
	write bool
}

// scripts are those of one prefix.
type scripts struct {
	create, get, update, rotate, revoke, sweep  *script
	due, trim, add, remove, sooner, later, log  *script
	addCutoff, removeCutoff, layout, name, mark *script
}

func newScripts(prefix keys, whole bool, feed string) *scripts {
	head := strings.NewReplacer(
		"{prefix}", string(prefix), "{whole}", strconv.FormatBool(whole), "{kept}", strconv.FormatInt(storedrow.KeptRevoked, 10),
		"{margin}", strconv.FormatInt(margin, 10), "{feed}", feed, "{fields}", "'"+strings.Join(fields, "', '")+"'",
		"{tail}", strconv.Itoa(tailSize), "{place}", prefix.place(),
	).Replace(luaHead)
	write := func(lua string) *script {
		return &script{lua: rueidis.NewLuaScript(head + lua), text: head + lua, write: true}
	}
	read := func(lua string) *script {
		return &script{lua: rueidis.NewLuaScriptReadOnly(head + lua), text: head + lua}
	}
	return &scripts{
		create: write(luaCreate), get: read(luaGet), update: write(luaUpdate), rotate: write(luaRotate), revoke: write(luaRevoke),
		sweep: write(luaSweep), due: read(luaDue), trim: write(luaTrim), add: write(luaAdd), remove: write(luaRemove),
		sooner: write(luaSooner), later: write(luaLater), log: write(luaLog), addCutoff: write(luaAddCutoff), removeCutoff: write(luaRemoveCutoff),
		layout: write(luaLayout), name: write(luaName), mark: write(luaMark),
	}
}
