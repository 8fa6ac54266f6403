"""What the board does inside Redis, as Lua: each script is one step that nothing comes between. Knows no network.

Keys, all behind the prefix:
  work      stream, one entry a work; group "workers": a consumer a worker, and NOBODY, who has what lost its worker
  told      stream of reports and ends of tries; group "desk", one consumer
  dead      stream of what was laid aside or could not be read, the last thousand
  places    hash: work id -> entry in work, or "aside", or "done <token>" until the desk took that
  tokens    hash: work id -> token of the lease that holds it     numbers   hash: work id -> its last report
  token     the last token given     past:*   last report of a lease that ended, for an hour, so that it may be repeated
  bell:*    streams of one entry, written when there is work, something told, or room again; who waits reads them

A lease is a pending entry: its idle time is how long the worker has said nothing, its delivery count the tries.
Source: https://redis.io/docs/latest/develop/data-types/streams/
"""

KEYS = (
    *("work", "told", "dead", "places", "tokens", "numbers", "token"),
    *("bell:work", "bell:told", "bell:room", "past:"),
)

_SHARED = """
local WORK, TOLD, DEAD, PLACES, TOKENS, NUMBERS, TOKEN, BELL_WORK, BELL_TOLD, BELL_ROOM, PAST = unpack(KEYS)
local LEASE_MS, MOST_TRIES, MOST_TOLD = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local NOBODY = '(nobody)'
local PAST_S, MOST_DEAD = 3600, 1000

-- A server that lost its memory is a new board: the desk offers again.
if redis.call('EXISTS', WORK) == 0 then redis.call('XGROUP', 'CREATE', WORK, 'workers', '0', 'MKSTREAM') end
if redis.call('EXISTS', TOLD) == 0 then redis.call('XGROUP', 'CREATE', TOLD, 'desk', '0', 'MKSTREAM') end

local function ring(bell) redis.call('XADD', bell, 'MAXLEN', 1, '*', 'rung', '1') end

local function last(bell)
  local entry = redis.call('XREVRANGE', bell, '+', '-', 'COUNT', 1)[1]
  return entry and entry[1] or '0-0'
end

local function pending(entry)
  local found = redis.call('XPENDING', WORK, 'workers', entry, entry, 1)[1]
  return found[2], found[4]
end

local function work_in(entry)
  local fields = redis.call('XRANGE', WORK, entry, entry)[1][2]
  return fields[2], fields[4]
end

local function free(work_id)
  local token = redis.call('HGET', TOKENS, work_id)
  if not token then return end
  redis.call('SET', PAST .. work_id .. ':' .. token, redis.call('HGET', NUMBERS, work_id), 'EX', PAST_S)
  redis.call('HDEL', TOKENS, work_id)
  redis.call('HDEL', NUMBERS, work_id)
end

local function remove(entry)
  redis.call('XACK', WORK, 'workers', entry)
  redis.call('XDEL', WORK, entry)
end

local function tell(...)
  redis.call('XADD', TOLD, 'MAXLEN', '~', MOST_TOLD, '*', ...)
  ring(BELL_TOLD)
end

local function end_try(entry, reason)
  local work_id, work = work_in(entry)
  local _, tries = pending(entry)
  free(work_id)
  if tries >= MOST_TRIES then
    remove(entry)
    redis.call('HSET', PLACES, work_id, 'aside')
    redis.call('XADD', DEAD, 'MAXLEN', '~', MOST_DEAD, '*', 'kind', 'work', 'line', work, 'tries', tries)
  else
    redis.call('XCLAIM', WORK, 'workers', NOBODY, 0, entry, 'JUSTID')
    ring(BELL_WORK)
  end
  tell('kind', 'ended', 'work', work, 'tries', tries, 'aside', tries >= MOST_TRIES and 1 or 0, 'reason', reason)
end

-- Ends the leases of those that went silent. Time without Redis is nobody's silence.
local function sweep()
  local up_s = tonumber(string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)'))
  if up_s * 1000 < LEASE_MS + 1000 then return end
  local from = '0-0'
  repeat
    local found = redis.call('XAUTOCLAIM', WORK, 'workers', NOBODY, LEASE_MS, from, 'COUNT', 100, 'JUSTID')
    from = found[1]
    for _, entry in ipairs(found[2]) do
      if redis.call('HEXISTS', TOKENS, (work_in(entry))) == 1 then end_try(entry, 'the lease was not renewed') end
    end
  until from == '0-0'
end

sweep()
"""

OFFER = (
    _SHARED
    + """
local work_id, work, most_works = ARGV[4], ARGV[5], tonumber(ARGV[6])
if redis.call('HEXISTS', PLACES, work_id) == 1 then return 'there' end
if redis.call('HLEN', PLACES) >= most_works then return 'full' end
redis.call('HSET', PLACES, work_id, redis.call('XADD', WORK, '*', 'id', work_id, 'work', work))
ring(BELL_WORK)
return 'offered'
"""
)

WITHDRAW = (
    _SHARED
    + """
local work_id = ARGV[4]
local place = redis.call('HGET', PLACES, work_id)
if place and string.match(place, '^%d+-%d+$') then remove(place) end
free(work_id)
redis.call('HDEL', PLACES, work_id)
return 'gone'
"""
)

CLAIM = (
    _SHARED
    + """
local worker = ARGV[4]
for _, each in ipairs(redis.call('XINFO', 'CONSUMERS', WORK, 'workers')) do
  if each[4] == 0 and each[2] ~= NOBODY then redis.call('XGROUP', 'DELCONSUMER', WORK, 'workers', each[2]) end
end
local entry, count = nil, 0
local lost = redis.call('XPENDING', WORK, 'workers', '-', '+', 1, NOBODY)[1]
if lost then
  entry, count = lost[1], lost[4]
else
  local fresh = redis.call('XREADGROUP', 'GROUP', 'workers', NOBODY, 'COUNT', 1, 'STREAMS', WORK, '>')
  if not fresh then return {'none', last(BELL_WORK)} end
  entry = fresh[1][2][1][1]
end
redis.call('XCLAIM', WORK, 'workers', worker, 0, entry, 'RETRYCOUNT', count + 1, 'JUSTID')
-- The first token is the time in microseconds: greater than all that were given before a server lost its memory.
if redis.call('EXISTS', TOKEN) == 0 then
  local now = redis.call('TIME')
  redis.call('SET', TOKEN, string.format('%.0f', now[1] * 1000000 + now[2]))
end
local token = string.format('%.0f', redis.call('INCR', TOKEN))
local work_id, work = work_in(entry)
redis.call('HSET', TOKENS, work_id, token)
redis.call('HSET', NUMBERS, work_id, 0)
return {'given', token, work}
"""
)

RENEW = (
    _SHARED
    + """
local lost = {}
for at = 4, #ARGV, 2 do
  if redis.call('HGET', TOKENS, ARGV[at]) == ARGV[at + 1] then
    local entry = redis.call('HGET', PLACES, ARGV[at])
    redis.call('XCLAIM', WORK, 'workers', (pending(entry)), 0, entry, 'JUSTID')
  else
    lost[#lost + 1] = (at - 4) / 2
  end
end
return lost
"""
)

GIVE_BACK = (
    _SHARED
    + """
local work_id, token = ARGV[4], ARGV[5]
if redis.call('HGET', TOKENS, work_id) ~= token then return 'lost' end
local entry = redis.call('HGET', PLACES, work_id)
local _, count = pending(entry)
redis.call('XCLAIM', WORK, 'workers', NOBODY, 0, entry, 'RETRYCOUNT', count - 1, 'JUSTID')
free(work_id)
ring(BELL_WORK)
return 'given back'
"""
)

REPORT = (
    _SHARED
    + """
local work_id, token, number, line, state, reason = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9]
local most_reports = tonumber(ARGV[10])
if number <= tonumber(redis.call('GET', PAST .. work_id .. ':' .. token) or 0) then return {'kept'} end
if redis.call('HGET', TOKENS, work_id) ~= token then return {'lost'} end
local before = tonumber(redis.call('HGET', NUMBERS, work_id))
if number <= before then return {'kept'} end
if number ~= before + 1 then return {'out of order'} end
if redis.call('XLEN', TOLD) >= most_reports then return {'full', last(BELL_ROOM)} end
redis.call('HSET', NUMBERS, work_id, number)
tell('kind', 'report', 'line', line)
local entry = redis.call('HGET', PLACES, work_id)
if state == 'done' then
  remove(entry)
  free(work_id)
  redis.call('HSET', PLACES, work_id, 'done ' .. token)
elseif state == 'failed' then
  end_try(entry, reason)
end
return {'kept'}
"""
)

TAKE = (
    _SHARED
    + """
local most = ARGV[4]
while true do
  local got = redis.call('XREADGROUP', 'GROUP', 'desk', 'desk', 'COUNT', most, 'STREAMS', TOLD, '0')
  if not got or #got[1][2] == 0 then
    got = redis.call('XREADGROUP', 'GROUP', 'desk', 'desk', 'COUNT', most, 'STREAMS', TOLD, '>')
  end
  if not got then return {'none', last(BELL_TOLD)} end
  local told = {'told'}
  for _, entry in ipairs(got[1][2]) do
    if entry[2] then told[#told + 1] = entry else redis.call('XACK', TOLD, 'desk', entry[1]) end
  end
  if #told > 1 then return told end
end
"""
)

TAKEN = (
    _SHARED
    + """
local is_unreadable = ARGV[4] == '1'
for at = 5, #ARGV, 3 do
  local entry, work_id, token = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if is_unreadable then
    redis.call('XADD', DEAD, 'MAXLEN', '~', MOST_DEAD, '*', unpack(redis.call('XRANGE', TOLD, entry, entry)[1][2]))
  end
  redis.call('XACK', TOLD, 'desk', entry)
  redis.call('XDEL', TOLD, entry)
  if redis.call('HGET', PLACES, work_id) == 'done ' .. token then redis.call('HDEL', PLACES, work_id) end
end
ring(BELL_ROOM)
return 'taken'
"""
)

ALL = (OFFER, WITHDRAW, CLAIM, RENEW, GIVE_BACK, REPORT, TAKE, TAKEN)
