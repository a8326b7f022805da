-- The sync of one limit: a host tells what it holds and has spent, and leases whole tokens. All numbers are integers, all
-- times the store's own, in microseconds.
-- Invariant: level + outstanding (+ the bursts reserved for absent members) <= burst, at every instant. From it follows
-- that any window over all hosts admits at most burst + rate * window: level + what hosts may still spend grows by
-- accrual alone.
-- KEYS: 1 the limit (hash), 2 the epoch (hash); one hash tag
-- ARGV: 1 host 2 seq 3 held 4 spent (cumulative) 5 want 6 demand a second 7 count 8 period_us 9 burst 10 lease_us
--       11 max_outstanding 12 epoch seen 13 store time seen 14 most_us since 15 rebase 16 hosts 17 fallback_us
--       18 fallback_burst 19 bye
-- Answer: status, granted, store time, epoch, keep (what is held stays good), entitled to a local share, level
local K, E = KEYS[1], KEYS[2]
local host, seq, held, spent, want, demand = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local num, den, B, L, omax = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local eseen, tprev, emax, rebase = ARGV[12], tonumber(ARGV[13]), tonumber(ARGV[14]), ARGV[15] == '1'
local N, F, bf, bye = tonumber(ARGV[16]), tonumber(ARGV[17]), tonumber(ARGV[18]), ARGV[19] == '1'
local T = redis.call('TIME')
local raw = T[1] * 1000000 + T[2]
local function int(x) return string.format('%.0f', x) end

-- 1. A store that is not the one of last time (restart, failover, flush) begins a new epoch; what it may have forgotten
--    was empty at its birth.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if not run then return redis.error_reply('TIDEGATE the store hides its run_id (INFO server), by which its restarts are known') end
local ev = redis.call('HMGET', E, 'run', 'birth', 'off', 'n')
local birth, off, en = tonumber(ev[2] or 0), tonumber(ev[3] or 0), tonumber(ev[4] or 0)
if ev[1] ~= run then
  off = 0; birth = raw; en = en + 1
  redis.call('HSET', E, 'run', run, 'birth', int(birth), 'off', '0', 'n', int(en))
end
local now = raw - off
local eid = int(en) .. ':' .. int(birth)

-- 2. Who does not know this epoch learns it, and changes nothing. A request that runs later than it may (a store that
--    stood still) or after the clock leapt changes nothing, unless the host asks to rebase: it does where such an answer
--    came in time, for then it was the clock.
if eseen ~= eid or tprev == 0 then return { 'hello', 0, now, eid, 0, 0, 0 } end
if now > tprev + emax then
  if not rebase then return { 'late', 0, now, eid, 0, 0, 0 } end
  off = off + (now - tprev - emax); now = tprev + emax
  redis.call('HSET', E, 'off', int(off))
end

-- 3. The limit's state; absent or of another epoch: was empty at this one's birth.
local s = redis.call('HMGET', K, 'e', 'lv', 'rem', 'ts', 'O', 'D', 'xm', 'A', 'C', 'm:' .. host, 'q', 'cf', 'xl')
local lv, rem, ts, O, D, xm, A, C, xl, mine = 0, 0, birth, 0, 0, 0, 0, 0, 0, false
local quota, config = int(num) .. '/' .. int(den), int(L) .. '|' .. int(omax) .. '|' .. int(N) .. '|' .. int(F) .. '|' .. int(bf)
if s[1] == eid then
  lv, rem, ts, O, D, xm, A, C = tonumber(s[2]), tonumber(s[3]), tonumber(s[4]), tonumber(s[5]), tonumber(s[6]), tonumber(s[7]), tonumber(s[8]), tonumber(s[9])
  mine = s[10]; xl = tonumber(s[13])
  if s[11] ~= quota then rem = 0 end
  -- A sequence number that is not new was overtaken. Here, before anything is written.
  if mine and tonumber(string.match(mine, '^%d+')) >= seq then return { 'old', 0, now, eid, 0, 0, 0 } end
  -- What must be the same on all hosts while there are others.
  if s[12] ~= config and (C + A > 1 or (C + A == 1 and not mine)) and now < xl then return { 'settings', 0, now, eid, 0, 0, 0 } end
elseif s[1] then redis.call('DEL', K) end
-- Stepped back: go on from the latest, mint nothing.
if now < ts then off = off - (ts - now); now = ts; redis.call('HSET', E, 'off', int(off)) end

-- 4. Members whose lease ended: their tokens count as spent. With local shares they are absent until those end, and their
--    share is reserved.
local O0, A0 = O, A                            -- what held while the time passed
local Adt = A                                  -- absent at any time since ts
local peak = 0                                 -- the most that those had whose lease ended since
local function parse(v) return string.match(v, '^(%d+)|(%d+)|(%d+)|(%d+)|(%d+)|(%d)$') end
if xm > 0 and now >= xm then
  local all = redis.call('HGETALL', K); xm = 0
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'm:' then
      local q, o, x, sp, d, st = parse(all[i + 1]); o, x, d = tonumber(o), tonumber(x), tonumber(d)
      local value = all[i + 1]
      if st == '1' and now >= x then
        O = O - o; D = D - d; C = C - 1
        if F > 0 then
          A = A + 1; Adt = Adt + 1; st = '2'; x = x + F; peak = peak + math.max(o, bf)
          value = q .. '|0|' .. int(x) .. '|' .. sp .. '|0|2'
          redis.call('HSET', K, all[i], value)
        else st = '0' end
      end
      if st == '2' and now >= x then A = A - 1; st = '0' end
      if st == '0' then redis.call('HDEL', K, all[i]); value = false
      elseif xm == 0 or x < xm then xm = x end
      if all[i] == 'm:' .. host then mine = value end
    end
  end
end
-- Members that a lost state forgot may be running on their share.
local ghost, gdt = 0, 0                        -- now, and while the time passed
if F > 0 and birth > 0 and ts < birth + L + F then
  gdt = math.max(0, N - C - A)
  if now < birth + L + F then ghost = gdt end
end

-- 5. The host's own entry. In quarantine a lease of the epoch before is still good, and known from now on.
local O1 = O
local quarantine = birth > 0 and now < birth + L
local myO, mySpent, keep = 0, 0, 0
if mine then
  local _, o, x, sp, d, st = parse(mine)
  if st == '1' then myO = tonumber(o); mySpent = tonumber(sp); keep = 1; D = D - tonumber(d); C = C - 1
  else A = A - 1 end
elseif quarantine then keep = 2 end

-- 6. Accrue whole tokens with the remainder, without the shares of the absent; never above what was free while the time
--    passed, for what becomes free by an end fills from then on.
local share = F > 0 and math.min(N, Adt + gdt) or 0
local dt, full = now - ts, math.ceil(B * den / num)
-- Time that no host saw may be a leap of the clock: of that at most a lease counts. Hosts sync more often while they live.
if ts > 0 and tprev > ts + L then dt = math.max(0, dt - (tprev - ts - L)) end
if dt >= full and share == 0 then lv = lv + B; rem = 0
else
  if dt > full then dt = full end
  local n2, d2 = num, den
  if F > 0 then n2 = num * (N - share); d2 = den * N end
  local x = dt * n2 + rem
  local q = math.floor(x / d2)
  lv = lv + q; rem = x - q * d2
end
local function clamp(c) if lv >= c then lv = math.max(c, 0); rem = 0 end end
clamp(B - O0 - (F > 0 and math.min(N, A0) * bf or 0))
-- Of shares that began meanwhile, and may have ended too, one had what it held or its share's burst, not both.
if F > 0 then clamp(B - O1 - peak - math.min(N, A0 + gdt) * bf) end
if birth > 0 and ts < birth + L then           -- leases of the epoch before may be out: at most max_outstanding
  clamp(B - omax - O0 + (now > birth + L and math.floor((now - birth - L) * num / den) or 0))
end

-- 7. What the host held, and neither spent nor holds any more, comes back: returned, or granted in an answer that it
--    never saw.
if keep == 1 then
  local back = myO - held - (spent - mySpent)
  if back > 0 then lv = lv + back end
end
O = O - myO
if keep == 0 then held = 0 end
clamp(B - O - held - (F > 0 and math.min(N, A + ghost) * bf or 0))
if keep == 2 then keep = 1 end

-- 8. Grant what is wanted where there is plenty, the share of the demand where there is not.
local g = 0
if not bye then
  D = D + demand
  if want > 0 and not quarantine then
    local avail = math.min(lv, omax - O - held)
    if avail >= 1 then
      local fair = D > 0 and math.floor(avail * demand / D) or avail
      g = math.min(want, math.max(fair, 1), avail)
    end
  end
  lv = lv - g; O = O + held + g; C = C + 1
  redis.call('HSET', K, 'm:' .. host, int(seq) .. '|' .. int(held + g) .. '|' .. int(now + L) .. '|' .. int(spent) .. '|' .. int(demand) .. '|1')
  if xm == 0 or now + L < xm then xm = now + L end
  xl = math.max(xl, now + L + F)
else
  redis.call('HDEL', K, 'm:' .. host)
end
redis.call('HSET', K, 'e', eid, 'lv', int(lv), 'rem', int(rem), 'ts', int(now), 'O', int(O), 'D', int(D), 'xm', int(xm), 'A', int(A), 'C', int(C), 'q', quota, 'cf', config, 'xl', int(xl))
return { 'ok', g, now, eid, keep, (F > 0 and C + A <= N) and 1 or 0, lv }
