package redisstore

// leafSize is the maximum number of members in a leaf of a tree. Adding one reads them all; twice
// as many would save 2 % of the memory of a session. By default, Redis stores up to 128 members of
// up to 64 bytes compactly.
const leafSize = 32

// luaHead has the form of a row, as header in Go, and trees: sorted sets of the names of their
// leaves, each the least member that belongs there but for the first, which has none.
//
//nolint:dupword // Lua ends much with end
const luaHead = `
local P, whole, kept, margin, feed, newest = '{prefix}', {whole}, {kept}, {margin}, '{feed}', '{place}'
local row, now = KEYS[1], tonumber(ARGV[1])
local form, never, nobody = '{form}', string.rep('\0', 8), string.rep('\0', {hash})
local function call(...) return redis.call(...) end
local function ms(n) return string.format('%.0f', n) end
if not now then
  local t = call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
-- as place in Go, from 1970 on
local function place(at) return '\128' .. struct.pack('>I7', at) end
local function time(p) return (struct.unpack('>I7', p, 2)) end
local function decode(v)
  local r = {}
  r.f, r.c, r.n, r.q, r.x, r.d, r.g, r.s, r.p, r.t, r.e, r.h, r.u, r.a, r.k, r.o, r.w, r.b = struct.unpack(form, v)
  r.b = string.sub(v, r.b)
  return r
end
local function read()
  local v = call('GET', row)
  return v and decode(v)
end
local function keep(at) call('PEXPIRE', row, ms(math.max(at - now, 0) + margin)) end
local function purge(r)
  local at = math.min(time(r.x), time(r.t) + time(r.d))
  if r.e ~= never then at = math.min(at, time(r.e) + kept) end
  return at
end
local function leaf(key, m)
  if string.sub(key, #P + 1, #P + 5) ~= 'tree:' then return key end
  return key .. ':' .. (call('ZREVRANGEBYLEX', key, '[' .. m, '-', 'LIMIT', 0, 1)[1] or '')
end
local function add(key, m)
  local l = leaf(key, m)
  if call('ZADD', l, 0, m) == 0 or l == key or call('ZCARD', l) <= {leaf} then return end
  local from = call('ZRANGE', l, -1, -1)[1] == m and -1 or {leaf} / 2
  local moved = call('ZRANGE', l, from, -1)
  call('ZREM', l, unpack(moved))
  call('ZADD', key, 0, moved[1])
  for _, other in ipairs(moved) do call('ZADD', key .. ':' .. moved[1], 0, other) end
end
local function remove(key, m)
  local l = leaf(key, m)
  call('ZREM', l, m)
  if l ~= key and call('EXISTS', l) == 0 then call('ZREM', key, string.sub(l, #key + 2)) end
end
local function claim(realms, hash, realm)
  local first = call('HGET', realms, hash)
  if not first then call('HSET', realms, hash, realm) end
  return first or realm
end
local function id() return string.sub(row, #P + 5) end
local function user(r) return P .. 'user:' .. (r.a == nobody and 'o' or 'i') .. ':' .. r.u end
local function listed(r, change)
  if not whole then return end
  local e, realm = r.c .. string.sub(id(), {realm} + 1) .. r.n, string.sub(id(), 1, {realm})
  change(user(r), e)
  change(P .. 'tree:realm:' .. (r.a == nobody and 'o' or 'i') .. ':{' .. realm .. '}', e)
  if r.a ~= nobody then change(P .. 'actor:' .. r.a, e) end
end
local function scanned(r, change)
  if whole then change(P .. 'tree:all:{0}', id() .. r.c .. r.n .. (r.a == nobody and '' or r.a)) end
end
local function due(q, r, change)
  if whole then change(P .. 'tree:due:{0}', q .. id() .. r.n .. r.u) end
end
-- Writes the row before the indexes: a server that is full refuses it, and so all.
local function save(r, move)
  local at, was = purge(r), r.q
  if move or at < time(was) then r.q = place(at) end
  local v = struct.pack(form, r.f, r.c, r.n, r.q, r.x, r.d, r.g, r.s, r.p, r.t, r.e, r.h, r.u, r.a, #r.k, r.k, #r.o, r.o, #r.w, r.w) .. r.b
  call('SET', row, v, 'PX', ms(math.max(at - now, 0) + margin))
  if r.q ~= was then
    due(was, r, remove)
    due(r.q, r, add)
  end
  return v
end
local function revoked(label, at)
  if whole then call('ZADD', P .. 'log:0', at, label) end
  call('PUBLISH', feed, 'r ' .. at .. ' ' .. label)
end
`
