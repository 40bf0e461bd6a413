"""The generic cell rate algorithm, in the language of each store of its timestamps.

A counter is one timestamp: when its quota is whole again (the theoretical arrival time, TAT). Its quota lasts
`burst` seconds, and a charge takes some of them. A charge of s seconds at the time t is allowed if

    max(TAT, t) + s <= t + burst

and sets TAT to the left side. So the whole quota may be used at once, and is restored evenly. A negative
charge gives back what was charged before.

A store must do this in one step. There are three stores, since none of them can replace another:

- Redis, for the rate limits that all processes share. It charges several counters or none in one round trip.
- The memory of the process, for the same limits where there is no Redis, or while it does not answer.
- Postgres, for log-in attempts. Their limits hold across processes and restarts, with and without Redis.
"""

from collections.abc import Sequence

ALMOST = 1e-6  # seconds; tolerance for timestamps, which are floats

# Charges all counters or none, by Redis's clock. KEYS: the counters. ARGV: 1 to charge all of them, even
# beyond their quota, else 0; burst; the seconds of each charge. Returns the index of the counter with the
# longest wait (0 for none), the wait, and the filled seconds of each counter.
REDIS = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1e6
local burst = tonumber(ARGV[2])
local before, after, wait, which = {}, {}, 0, 0
for i, key in ipairs(KEYS) do
    before[i] = math.max(tonumber(redis.call('GET', key) or '0'), now)
    after[i] = before[i] + tonumber(ARGV[i + 2])
    if after[i] - now - burst > wait + 1e-6 then
        wait, which = after[i] - now - burst, i
    end
end
if ARGV[1] == '1' then
    which = 0
end
local answer = {which, tostring(wait)}
for i, key in ipairs(KEYS) do
    local filled = which == 0 and after[i] or before[i]
    if which == 0 and filled - now > 0.001 then
        redis.call('SET', key, string.format('%.6f', filled), 'PX', math.ceil((filled - now) * 1000))
    elseif which == 0 and filled < before[i] then
        redis.call('DEL', key)
    end
    answer[i + 2] = tostring(filled - now)
end
return answer
"""

# Charges one counter of log-in attempts, by Postgres's clock. `seconds` and `burst` are intervals. As
# `seconds` is at most `burst`, TAT and t need no comparison. Returns no row if the charge is not allowed.
POSTGRES = """
INSERT INTO sign_in_attempts AS counted (key, forgotten_at)
VALUES (sha256(convert_to(:counted, 'UTF8')), clock_timestamp() + :seconds)
ON CONFLICT (key) DO UPDATE SET forgotten_at = greatest(counted.forgotten_at, clock_timestamp()) + :seconds
WHERE counted.forgotten_at + :seconds <= clock_timestamp() + :burst
RETURNING 1
"""


def charge(
    counters: Sequence[float], seconds: Sequence[float], now: float, burst: float
) -> tuple[list[float], list[float], float]:
    """Charge timestamps in memory. Returns them before and after, and the longest wait in seconds.

    The charges are allowed if the wait is not above ALMOST; else the timestamps must not be stored.
    """
    before, after, latest = [], [], now
    for counter, taken in zip(counters, seconds, strict=True):
        before.append(since := max(counter, now))
        after.append(until := since + taken)
        latest = max(latest, until)
    return before, after, latest - now - burst
