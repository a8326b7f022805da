//! The settings of one moment as numbers ready for use.

use super::config::longest_by_default;
use super::control::{Control, MAX_BACKOFF};
use super::layout::{Layout, Origin};
use super::probes::{DEADLINE_BITS, Deadline};
use super::settings::{LEAST, LONGEST_COOLDOWN, LONGEST_LEASE, MARK, SIZE};
use super::state::State;
use super::tally::Thresholds;
use super::words;
use std::time::Duration;

const MS: u64 = 1_000_000;
const DEADLINE_MASK: u32 = (1 << DEADLINE_BITS) - 1;
/// How far ahead of the clock a deadline may lie beyond the longest wait before it counts as impossible.
pub(super) const SLACK_NS: u64 = 60_000 * MS;

/// What a report asks of the settings of one moment, if it opens nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge {
    /// Which settings they are.
    pub(super) version: u64,
    pub(super) thresholds: Thresholds,
    /// How many calls, or slices, the window holds.
    pub(super) window: u32,
    /// See [`MARK`].
    pub(super) mark: u64,
    /// `u64::MAX`: no call is slow.
    pub(super) slow_ns: u64,
    /// `u64::MAX`: off.
    pub(super) run_length: u64,
}

impl Judge {
    /// Of a set of words. Whatever they say, the window is one that the layout has room for.
    #[inline]
    pub(super) fn of(word: impl Fn(usize) -> u64, version: u64, layout: &Layout) -> Self {
        let real = |at| f64::from_bits(word(at));
        let window = (word(SIZE) as u32).min(layout.most_window).max(1);
        // At most the calls of a window that counts them: it can never hold more (Resilience4j clamps it the same way).
        let min_calls = (word(LEAST) as u32).max(1);
        let (failure_rate, slow_rate) = (real(words::FAILURE_RATE), real(words::SLOW_RATE));
        Self {
            version,
            thresholds: Thresholds { failure_rate, slow_rate, min_calls },
            window,
            mark: word(MARK),
            slow_ns: words::or_never(word(words::SLOW_CALL)),
            run_length: words::or_never(word(words::RUN)),
        }
    }

    /// Whether a permit must know when its call began.
    pub(super) fn times_calls(&self) -> bool {
        self.slow_ns != u64::MAX
    }

    pub(super) fn counts_runs(&self) -> bool {
        self.run_length != u64::MAX
    }
}

fn small(word: u64) -> u32 {
    u32::try_from(word).unwrap_or(u32::MAX)
}

/// The settings of one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) judge: Judge,
    pub(super) cooldown_ns: u64,
    max_cooldown_ns: u64,
    pub(super) longest_cooldown_ns: u64,
    backoff: f64,
    jitter: f64,
    pub(super) probes: u32,
    /// `u32::MAX`: all.
    pub(super) probes_at_once: u32,
    /// By which probes are judged.
    pub(super) probe_thresholds: Thresholds,
    /// `None`: the last cooldown.
    healthy_after_ns: Option<u64>,
    /// 0: no ramp.
    pub(super) ramp_ns: u64,
    ramp_from: f64,
    probe_timeout_ns: u64,
    pub(super) longest_lease_ns: u64,
    pub(super) origin: Origin,
}

impl Origin {
    #[inline]
    pub(super) fn since_epoch(&self, now: u64) -> u64 {
        now.saturating_sub(self.epoch_ns)
    }

    pub(super) fn ms(&self, now: u64) -> u64 {
        self.since_epoch(now) / MS
    }

    pub(super) fn clock_ns(&self, ms: u64) -> u64 {
        self.epoch_ns.saturating_add(ms.saturating_mul(MS))
    }

    /// Nanoseconds until an open circuit's cooldown ends; `None` when no cooldown that began by `now` lasts so long.
    pub(super) fn cooldown_left(&self, seen: Control, now: u64, longest_ns: u64) -> Option<u64> {
        let left = seen.until_ms().saturating_mul(MS).saturating_sub(self.since_epoch(now));
        (left <= longest_ns.saturating_add(SLACK_NS)).then_some(left)
    }
}

impl Rules {
    /// Of a set of words. Whatever they say, sizes are such as the layout has room for.
    #[inline]
    pub(super) fn of(word: impl Fn(usize) -> u64, version: u64, layout: &Layout, origin: Origin) -> Self {
        let real = |at| f64::from_bits(word(at));
        let or = |at: usize, other: u64| match word(at) {
            0 => other,
            given => given,
        };
        let (cooldown_ns, slow_rate) = (word(words::COOLDOWN), real(words::SLOW_RATE));
        Self {
            judge: Judge::of(&word, version, layout),
            cooldown_ns,
            max_cooldown_ns: or(words::MAX_COOLDOWN, longest_by_default(cooldown_ns)),
            longest_cooldown_ns: word(LONGEST_COOLDOWN),
            backoff: real(words::BACKOFF),
            jitter: real(words::JITTER),
            probes: small(word(words::PROBES)).clamp(1, layout.probes),
            probes_at_once: small(or(words::AT_ONCE, u64::MAX)),
            probe_thresholds: Thresholds {
                failure_rate: f64::from_bits(or(words::PROBE_RATE, word(words::FAILURE_RATE))),
                slow_rate,
                min_calls: 1,
            },
            healthy_after_ns: Some(word(words::HEALTHY)).filter(|&ns| ns != 0),
            ramp_ns: word(words::RAMP),
            ramp_from: real(words::RAMP_FROM),
            probe_timeout_ns: word(words::PROBE_TIMEOUT),
            longest_lease_ns: word(LONGEST_LEASE),
            origin,
        }
    }

    /// The longest cooldown that these settings give, its jitter included.
    pub(super) fn own_longest_cooldown_ns(&self) -> u64 {
        self.max_cooldown_ns.saturating_add((self.max_cooldown_ns as f64 * self.jitter) as u64)
    }

    fn since_epoch(&self, now: u64) -> u64 {
        self.origin.since_epoch(now)
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
            let random = split_mix(self.origin.seed ^ seen.0 ^ now.rotate_left(32)) >> 11;
            let fraction = random as f64 / (1_u64 << 53) as f64;
            cooldown = cooldown.saturating_add((cooldown as f64 * self.jitter * fraction) as u64);
        }
        let cooldown = cooldown.max(retry_after_ns.min(self.max_cooldown_ns));
        seen.next(State::Open, again, self.deadline_ms(now, cooldown))
    }

    pub(super) fn probe_deadline(&self, now: u64) -> Deadline {
        let units = self.deadline_ms(now, self.probe_timeout_ns) >> self.origin.lease_shift;
        Deadline(units as u32 & DEADLINE_MASK)
    }

    /// Nanoseconds until a probe's lease ends, 0 when it has; `None` when no lease that began by `now` lasts so long.
    /// Units come round after 2^28 of them (3 days of milliseconds): a lease that nobody looked at for half of that may
    /// seem to lie too far ahead, and ends as those do.
    pub(super) fn lease_left(&self, deadline: Deadline, now: u64) -> Option<u64> {
        let unit = MS << self.origin.lease_shift;
        let now_units = self.since_epoch(now) / unit;
        let ahead = deadline.0.wrapping_sub(now_units as u32) & DEADLINE_MASK;
        if ahead > DEADLINE_MASK / 2 {
            return Some(0);
        }
        let left = u64::from(ahead).saturating_mul(unit).saturating_sub(self.since_epoch(now) % unit);
        (left <= self.longest_lease_ns.saturating_add(unit).saturating_add(SLACK_NS)).then_some(left)
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
