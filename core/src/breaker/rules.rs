//! The settings as numbers ready for use, kept in private memory.

use super::config::{BreakerConfig, Window};
use super::control::{Control, MAX_BACKOFF};
use super::probes::{DEADLINE_BITS, Deadline};
use super::state::State;
use super::tally::Thresholds;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const MS: u64 = 1_000_000;
const DEADLINE_MASK: u32 = (1 << DEADLINE_BITS) - 1;
/// How far ahead of the clock a deadline may lie beyond the longest wait before it counts as impossible.
pub(super) const SLACK_NS: u64 = 60_000 * MS;

#[derive(Debug)]
pub(super) struct Rules {
    pub(super) thresholds: Thresholds,
    /// `u64::MAX`: no call is slow.
    pub(super) slow_ns: u64,
    /// `u64::MAX`: off.
    pub(super) run_length: u64,
    pub(super) cooldown_ns: u64,
    max_cooldown_ns: u64,
    backoff: f64,
    jitter: f64,
    pub(super) probes: u32,
    pub(super) probes_at_once: u32,
    /// By which probes are judged.
    pub(super) probe_thresholds: Thresholds,
    /// `None`: the last cooldown.
    healthy_after_ns: Option<u64>,
    /// 0: no ramp.
    pub(super) ramp_ns: u64,
    ramp_from: f64,
    probe_timeout_ns: u64,
    /// Leases of probes end at multiples of 2^this milliseconds.
    lease_shift: u32,
    /// When the breaker was made; the words count milliseconds from here.
    epoch_ns: u64,
    seed: u64,
}

impl Rules {
    /// Of settings that have been validated.
    pub(super) fn new(config: &BreakerConfig, epoch_ns: u64) -> Self {
        let min_calls = match config.window {
            // A window of N calls can never hold more (Resilience4j clamps it the same way).
            Window::Calls(calls) => config.min_calls.min(calls),
            Window::Duration(_) => config.min_calls,
        };
        Self {
            thresholds: Thresholds {
                failure_rate: config.failure_rate_threshold,
                slow_rate: config.slow_call_rate_threshold,
                min_calls,
            },
            slow_ns: config.slow_call_duration.map_or(u64::MAX, nanos),
            run_length: config.consecutive_failures.map_or(u64::MAX, u64::from),
            cooldown_ns: nanos(config.cooldown),
            max_cooldown_ns: nanos(config.longest_cooldown()),
            backoff: config.cooldown_backoff,
            jitter: config.cooldown_jitter,
            probes: config.probes,
            probes_at_once: config.probes_at_once.unwrap_or(config.probes),
            probe_thresholds: Thresholds {
                failure_rate: config.probe_failure_rate_threshold.unwrap_or(config.failure_rate_threshold),
                slow_rate: config.slow_call_rate_threshold,
                min_calls: 1,
            },
            healthy_after_ns: config.healthy_after.map(nanos),
            ramp_ns: config.ramp.map_or(0, nanos),
            ramp_from: config.ramp_from,
            probe_timeout_ns: nanos(config.probe_timeout),
            lease_shift: lease_shift(config.probe_timeout),
            epoch_ns,
            seed: RandomState::new().hash_one(epoch_ns),
        }
    }

    /// Whether a permit must know when its call began.
    pub(super) fn times_calls(&self) -> bool {
        self.slow_ns != u64::MAX
    }

    pub(super) fn counts_runs(&self) -> bool {
        self.run_length != u64::MAX
    }

    pub(super) fn since_epoch(&self, now: u64) -> u64 {
        now.saturating_sub(self.epoch_ns)
    }

    pub(super) fn ms(&self, now: u64) -> u64 {
        self.since_epoch(now) / MS
    }

    pub(super) fn clock_ns(&self, ms: u64) -> u64 {
        self.epoch_ns.saturating_add(ms.saturating_mul(MS))
    }

    /// The millisecond that is `wait_ns` after `now`, or up to one before: no wait is longer than was asked for, so
    /// that a cooldown of 1 s is a Retry-After of 1. It lies after `now`: every wait is a millisecond or more.
    fn deadline_ms(&self, now: u64, wait_ns: u64) -> u64 {
        self.since_epoch(now).saturating_add(wait_ns) / MS
    }

    /// The cooldown of this many openings in a row.
    fn cooldown(&self, again: u32) -> u64 {
        let grown = self.cooldown_ns as f64 * self.backoff.powi(again as i32);
        // The `as` saturates, infinity included.
        (grown as u64).min(self.max_cooldown_ns)
    }

    /// The control word that closes the circuit at `now` by itself, in its ramp where there is one.
    pub(super) fn closed(&self, seen: Control, now: u64) -> Control {
        // Not before it closed: nothing of a ramp or a healthy time is over early. 0 would be "not by itself".
        let at = self.since_epoch(now).div_ceil(MS).max(1);
        if self.ramp_ns > 0 {
            seen.next_ramping(seen.backoff(), at)
        } else {
            seen.next(State::Closed, seen.backoff(), at)
        }
    }

    /// Whether a trip of the closed circuit at `now` is another opening in a row.
    fn is_recovering(&self, seen: Control, now: u64) -> bool {
        let (closed_ns, now) = (seen.until_ms().saturating_mul(MS), self.since_epoch(now));
        let healthy = self.healthy_after_ns.unwrap_or_else(|| self.cooldown(seen.backoff()));
        let lasts = if seen.is_ramping() { healthy.max(self.ramp_ns) } else { healthy };
        // One that closed far ahead was closed by a bad reading.
        closed_ns != 0 && now < closed_ns.saturating_add(lasts) && closed_ns <= now.saturating_add(SLACK_NS)
    }

    /// Whether a ramp can have begun by `now`.
    pub(super) fn ramp_is_plausible(&self, seen: Control, now: u64) -> bool {
        seen.until_ms().saturating_mul(MS) <= self.since_epoch(now).saturating_add(SLACK_NS)
    }

    /// The chance of a call to pass at `now` in a ramp, below 1; `None`: it is over.
    pub(super) fn chance(&self, seen: Control, now: u64) -> Option<f64> {
        let gone = self.since_epoch(now).saturating_sub(seen.until_ms().saturating_mul(MS));
        (gone < self.ramp_ns).then(|| self.ramp_from + (1.0 - self.ramp_from) * (gone as f64 / self.ramp_ns as f64))
    }

    /// The control word that opens the circuit at `now`: for the cooldown of this many openings in a row,
    /// lengthened by its jitter and by the server's own wish.
    pub(super) fn opened(&self, seen: Control, now: u64, retry_after_ns: u64) -> Control {
        let again = match seen.state() {
            State::HalfOpen => (seen.backoff() + 1).min(MAX_BACKOFF),
            State::Closed if self.is_recovering(seen, now) => (seen.backoff() + 1).min(MAX_BACKOFF),
            _ => 0,
        };
        let mut cooldown = self.cooldown(again);
        if self.jitter > 0.0 {
            let random = split_mix(self.seed ^ seen.0 ^ now.rotate_left(32)) >> 11;
            let fraction = random as f64 / (1_u64 << 53) as f64;
            cooldown += (cooldown as f64 * self.jitter * fraction) as u64;
        }
        let cooldown = cooldown.max(retry_after_ns.min(self.max_cooldown_ns));
        seen.next(State::Open, again, self.deadline_ms(now, cooldown))
    }

    /// Nanoseconds until an open circuit's cooldown ends; `None` when no cooldown that began by `now` lasts so long.
    pub(super) fn cooldown_left(&self, seen: Control, now: u64) -> Option<u64> {
        let longest = self.max_cooldown_ns.saturating_add((self.max_cooldown_ns as f64 * self.jitter) as u64);
        let left = seen.until_ms().saturating_mul(MS).saturating_sub(self.since_epoch(now));
        (left <= longest.saturating_add(SLACK_NS)).then_some(left)
    }

    pub(super) fn probe_deadline(&self, now: u64) -> Deadline {
        let units = self.deadline_ms(now, self.probe_timeout_ns) >> self.lease_shift;
        Deadline(units as u32 & DEADLINE_MASK)
    }

    /// Nanoseconds until a probe's lease ends, 0 when it has; `None` when no lease that began by `now` lasts so long.
    /// Units come round after 2^28 of them (3 days of milliseconds): a lease that nobody looked at for half of that may
    /// seem to lie too far ahead, and ends as those do.
    pub(super) fn lease_left(&self, deadline: Deadline, now: u64) -> Option<u64> {
        let unit = MS << self.lease_shift;
        let now_units = self.since_epoch(now) / unit;
        let ahead = deadline.0.wrapping_sub(now_units as u32) & DEADLINE_MASK;
        if ahead > DEADLINE_MASK / 2 {
            return Some(0);
        }
        let left = u64::from(ahead).saturating_mul(unit).saturating_sub(self.since_epoch(now) % unit);
        (left <= self.probe_timeout_ns.saturating_add(unit).saturating_add(SLACK_NS)).then_some(left)
    }
}

/// So that a lease and the slack for bad readings take at most a quarter of what a deadline can tell apart.
pub(super) fn lease_shift(probe_timeout: Duration) -> u32 {
    let longest_ms = (nanos(probe_timeout).saturating_add(SLACK_NS)) / MS;
    (0..32).find(|shift| longest_ms >> shift < 1 << (DEADLINE_BITS - 2)).unwrap_or(32)
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// One step of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn split_mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
