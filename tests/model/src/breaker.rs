//! Circuit breaker as a state, a deque of outcomes and a list of probe slots.
//!
//! Readings of the clock may step both ways. What a reading ahead says is believed: it ends cooldowns, leases and
//! slices. What a reading behind finds is still in force: a cooldown and a lease are waited for, and an outcome counts
//! in the newest slice. Only what is further ahead than any cooldown, lease or late thread can be is a bad reading's in
//! the end, see [`Watch`].

use crate::watch::{SLACK_NS, Watch};
use std::collections::VecDeque;

const MS: u64 = 1_000_000;
const SLICES: u64 = 10;

/// Over what the rates are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last N outcomes.
    Calls(usize),
    /// The outcomes of the last T nanoseconds, in tenths.
    Duration(u64),
}

/// Settings; durations in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "named as in BreakerConfig, which documents them")]
pub struct Config {
    pub window: Window,
    pub failure_rate_threshold: f64,
    pub slow_call_duration: Option<u64>,
    pub slow_call_rate_threshold: f64,
    pub consecutive_failures: Option<u32>,
    pub min_calls: u32,
    pub cooldown: u64,
    pub cooldown_backoff: f64,
    pub max_cooldown: Option<u64>,
    pub probes: usize,
    pub probe_timeout: u64,
    pub probe_failure_rate_threshold: Option<f64>,
    pub probes_at_once: Option<usize>,
    pub healthy_after: Option<u64>,
    pub ramp: Option<u64>,
    pub ramp_from: f64,
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the states of the design")]
pub enum State {
    Closed,
    Open,
    HalfOpen,
    ForcedOpen,
    Disabled,
    MetricsOnly,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the outcomes of the design")]
pub enum Outcome {
    Success,
    Failure,
    Ignore,
    /// A failure while closed, and neither while half-open.
    Unreached,
    /// A success that is slow, whatever its duration.
    Slow,
}

/// Calls, failed calls and slow calls.
pub type Trip = (u32, u32, u32);

/// What an event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the kinds of the design")]
pub enum Kind {
    Entered(State),
    ProbeSucceeded,
    ProbeFailed,
    ProbeLost,
    RampStarted,
    RampEnded,
    Configured,
}

/// How many events are kept.
const EVENTS: usize = 64;

/// An entry of the event ring.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Running number, from 0.
    pub seq: usize,
    /// What happened.
    pub kind: Kind,
    /// When, at a whole millisecond.
    pub at: u64,
    /// Of an opening by itself: what opened it.
    pub trip: Option<Trip>,
}

/// The right to make one call.
#[derive(Clone, Copy, Debug)]
pub struct Permit {
    generation: u64,
    /// Of a call that is timed.
    started: Option<u64>,
    /// Number of the lease, when it is a probe.
    lease: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    slice: u64,
    failed: bool,
    slow: bool,
}

#[derive(Clone, Copy, Debug)]
enum Slot {
    /// `again`: after its last lease was lost.
    Free {
        again: bool,
    },
    Leased {
        lease: u64,
        deadline: u64,
        again: bool,
        watch: Watch,
    },
    Done {
        failed: bool,
        slow: bool,
    },
    Lost,
}

/// A circuit breaker that one thread uses.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: Config,
    start: u64,
    state: State,
    generation: u64,
    /// Of the generation, whatever the window holds of them.
    calls: VecDeque<Call>,
    /// Nanoseconds in a slice: of the window that it was made with.
    slice_ns: Option<u64>,
    /// The longest that a cooldown, and a lease, in force can be: also by settings before.
    longest_cooldown: u64,
    longest_lease: u64,
    /// The slice in which outcomes count.
    newest: Option<u64>,
    newest_watch: Watch,
    failures_in_a_row: u32,
    until: u64,
    until_watch: Watch,
    /// Openings in a row, less one: without a healthy time between them.
    reopened: i32,
    /// When it closed by itself, while it is closed.
    closed: Option<u64>,
    /// Calls come back by degrees.
    ramping: bool,
    ramp_watch: Watch,
    slots: Vec<Slot>,
    leases: u64,
    /// Calls, failed and slow ones, of what last opened it.
    last_trip: Option<Trip>,
    /// The reading by which events are told.
    reading: u64,
    /// All that there ever were.
    events: Vec<Event>,
}

impl Breaker {
    /// A closed breaker made at `now`.
    pub fn new(config: Config, now: u64) -> Self {
        let slice_ns = if let Window::Duration(whole) = config.window { Some(whole.div_ceil(SLICES)) } else { None };
        Self {
            config,
            slice_ns,
            longest_cooldown: longest_cooldown(&config),
            longest_lease: config.probe_timeout,
            start: now,
            state: State::Closed,
            generation: 0,
            calls: VecDeque::new(),
            newest: None,
            newest_watch: Watch::default(),
            failures_in_a_row: 0,
            until: 0,
            until_watch: Watch::default(),
            reopened: 0,
            closed: None,
            ramping: false,
            ramp_watch: Watch::default(),
            slots: Vec::new(),
            leases: 0,
            last_trip: None,
            reading: now,
            events: Vec::new(),
        }
    }

    /// What happens next happens at `now`.
    pub fn read(&mut self, now: u64) {
        self.reading = now;
    }

    /// The events from number `from` on that are kept.
    pub fn events(&self, from: usize) -> &[Event] {
        &self.events[from.clamp(self.events.len().saturating_sub(EVENTS), self.events.len())..]
    }

    fn tell(&mut self, kind: Kind) {
        let trip = self.last_trip.filter(|_| kind == Kind::Entered(State::Open));
        self.events.push(Event { seq: self.events.len(), kind, at: self.whole_ms(self.reading), trip });
    }

    /// Asks for one call; the error is the nanoseconds until it is worth asking again. In a ramp the call passes where
    /// `draw` is below the chance.
    pub fn acquire(&mut self, now: u64, draw: f64) -> Result<Permit, u64> {
        if let (true, Some(closed)) = (self.ramping, self.closed) {
            let (gone, ramp) = (now.saturating_sub(closed), self.config.ramp.unwrap_or(0));
            let is_over = if ramp == 0 {
                // It was taken away.
                true
            } else if self.is_far(closed, now, 0) {
                self.ramp_watch.lasted(now)
            } else {
                self.ramp_watch.clear();
                gone >= ramp
            };
            let from = self.config.ramp_from;
            if is_over {
                self.ramping = false;
                self.tell(Kind::RampEnded);
            } else if draw >= from + (1.0 - from) * (gone as f64 / ramp as f64) {
                return Err(ramp / 10);
            }
        }
        if self.state == State::Open && self.has_cooled(now) {
            self.enter(State::HalfOpen);
            self.tell(Kind::Entered(State::HalfOpen));
            self.slots = vec![Slot::Free { again: false }; self.config.probes];
        }
        match self.state {
            State::HalfOpen => self.acquire_probe(now, draw),
            State::Open => Err(self.retry_after(now)),
            State::ForcedOpen => Err(u64::MAX),
            State::Closed | State::Disabled | State::MetricsOnly => Ok(self.permit(now, None)),
        }
    }

    /// The wait with which a gate's look finds it shut; none where a call may pass, or where only a call that comes can
    /// tell.
    pub fn look(&self, now: u64) -> Option<u64> {
        match self.state {
            State::ForcedOpen => Some(u64::MAX),
            State::Open if self.is_far(self.until, now, self.longest_cooldown) => None,
            State::Open => Some(self.until.saturating_sub(now)).filter(|left| *left > 0),
            State::HalfOpen => {
                let mut judged = self.clone();
                judged.judge_probes(now, 0);
                let is_free = |slot: &Slot| matches!(slot, Slot::Free { .. });
                let leases = self.slots.iter().filter_map(|slot| match slot {
                    Slot::Leased { deadline, .. } => Some(*deadline),
                    _ => None,
                });
                let leases: Vec<_> = leases.collect();
                let may_lease = leases.len() < self.config.probes_at_once.unwrap_or(usize::MAX);
                if judged.state != State::HalfOpen || self.slots.iter().any(is_free) && may_lease {
                    return None;
                }
                let is_odd = |end: &u64| *end <= now || self.is_far(*end, now, self.longest_lease + MS);
                if leases.iter().any(is_odd) {
                    return None;
                }
                leases.iter().min().map(|end| (end - now).min(self.config.cooldown))
            }
            State::Closed | State::Disabled | State::MetricsOnly => None,
        }
    }

    /// Reports a call; no duration means the time since it was acquired.
    pub fn report(&mut self, now: u64, permit: Permit, outcome: Outcome, duration: Option<u64>) {
        self.outcome(now, permit, outcome, duration, 0);
    }

    /// Reports a call whose answer asked for `retry_after` nanoseconds of rest.
    pub fn report_told(&mut self, now: u64, permit: Permit, outcome: Outcome, duration: Option<u64>, retry_after: u64) {
        self.outcome(now, permit, outcome, duration, retry_after);
    }

    /// A failure whose answer asked for `retry_after` nanoseconds of rest.
    pub fn report_retry_after(&mut self, now: u64, permit: Permit, retry_after: u64) {
        self.outcome(now, permit, Outcome::Failure, None, retry_after);
    }

    /// Gives a permit back without an outcome.
    pub fn release(&mut self, now: u64, permit: Permit) {
        self.outcome(now, permit, Outcome::Ignore, None, 0);
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Nanoseconds until a probe may be tried.
    pub fn retry_after(&self, now: u64) -> u64 {
        match self.state {
            State::Open if self.is_far(self.until, now, self.longest_cooldown) => self.until_watch.wait(now),
            State::Open => self.until.saturating_sub(now),
            State::ForcedOpen => u64::MAX,
            _ => 0,
        }
    }

    /// Calls, failed calls and slow calls in the window.
    pub fn stats(&self, now: u64) -> (u32, u32, u32) {
        let most = if let Window::Calls(n) = self.config.window { n } else { usize::MAX };
        let window = || self.calls.iter().rev().take(most).filter(|call| self.in_window(now, call));
        let count = |n: usize| u32::try_from(n).expect("few calls");
        (
            count(window().count()),
            count(window().filter(|call| call.failed).count()),
            count(window().filter(|call| call.slow).count()),
        )
    }

    /// What last opened it by itself.
    pub fn last_trip(&self) -> Option<Trip> {
        self.last_trip
    }

    /// Whether it is closed and calls come back by degrees, as of the latest call that asked.
    pub fn is_ramping(&self) -> bool {
        self.ramping
    }

    /// What a refusal names as its reason.
    pub fn trip(&self) -> Option<Trip> {
        if self.state == State::ForcedOpen { None } else { self.last_trip }
    }

    /// Other settings, with a window of the same kind: everything else stays.
    pub fn change(&mut self, change: &dyn Fn(&mut Config)) {
        let mut config = self.config;
        change(&mut config);
        self.set_config(config);
    }

    /// All of them.
    pub fn set_config(&mut self, config: Config) {
        if config == self.config {
            return;
        }
        self.tell(Kind::Configured);
        let (cooldown, lease) = (longest_cooldown(&config), config.probe_timeout);
        self.longest_cooldown = if self.state == State::Open { self.longest_cooldown.max(cooldown) } else { cooldown };
        self.longest_lease = if self.state == State::HalfOpen { self.longest_lease.max(lease) } else { lease };
        if self.config.consecutive_failures.is_none() {
            self.failures_in_a_row = 0;
        }
        self.config = config;
    }

    /// An operator's switch: forced open, disabled, metrics-only, or closed (a reset).
    pub fn switch(&mut self, state: State) {
        if state != self.state {
            self.tell(Kind::Entered(state));
        } else if self.ramping {
            self.tell(Kind::RampEnded);
        }
        self.enter(state);
        self.reopened = 0;
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
        self.closed = None;
        self.ramping = false;
        self.calls.clear();
        self.newest = None;
        self.failures_in_a_row = 0;
        self.slots.clear();
    }

    /// Further ahead of `now` than something can be that lasts for `longest`.
    fn is_far(&self, end: u64, now: u64, longest: u64) -> bool {
        end.saturating_sub(now) > longest + SLACK_NS
    }

    fn has_cooled(&mut self, now: u64) -> bool {
        if self.is_far(self.until, now, self.longest_cooldown) {
            return self.until_watch.lasted(now);
        }
        self.until_watch.clear();
        now >= self.until
    }

    fn permit(&self, now: u64, lease: Option<u64>) -> Permit {
        let started = self.config.slow_call_duration.map(|_| now);
        Permit { generation: self.generation, started, lease }
    }

    fn acquire_probe(&mut self, now: u64, draw: f64) -> Result<Permit, u64> {
        // By other settings than those under which its probes reported, they may have said all there is to say.
        self.judge_probes(now, 0);
        if self.state != State::HalfOpen {
            return self.acquire(now, draw);
        }
        let leased = self.slots.iter().filter(|slot| matches!(slot, Slot::Leased { .. })).count();
        let free = self.slots.iter().enumerate().find_map(|(place, slot)| match slot {
            Slot::Free { again } if leased < self.config.probes_at_once.unwrap_or(usize::MAX) => Some((place, *again)),
            _ => None,
        });
        if let Some((place, again)) = free {
            self.leases += 1;
            let deadline = self.whole_ms(now + self.config.probe_timeout);
            self.slots[place] = Slot::Leased { lease: self.leases, deadline, again, watch: Watch::default() };
            return Ok(self.permit(now, Some(self.leases)));
        }
        let mut lost = 0;
        // A lease ends at a whole millisecond.
        let longest = self.longest_lease + MS;
        for slot in &mut self.slots {
            let Slot::Leased { deadline, again, watch, .. } = slot else { continue };
            let over = if deadline.saturating_sub(now) > longest + SLACK_NS {
                watch.lasted(now)
            } else {
                watch.clear();
                now >= *deadline
            };
            if over {
                *slot = if *again { Slot::Lost } else { Slot::Free { again: true } };
                lost += 1;
            }
        }
        (0..lost).for_each(|_| self.tell(Kind::ProbeLost));
        self.judge_probes(now, 0);
        if lost > 0 {
            return self.acquire(now, draw);
        }
        let waits = self.slots.iter().filter_map(|slot| match slot {
            Slot::Leased { deadline, watch, .. } if self.is_far(*deadline, now, longest) => Some(watch.wait(now)),
            Slot::Leased { deadline, .. } => Some(deadline - now),
            _ => None,
        });
        Err(waits.min().expect("without a lease there is a verdict").min(self.config.cooldown))
    }

    fn outcome(&mut self, now: u64, permit: Permit, outcome: Outcome, duration: Option<u64>, retry_after: u64) {
        if permit.generation != self.generation {
            return;
        }
        let duration = duration.or(permit.started.map(|began| now.saturating_sub(began))).unwrap_or(0);
        let slow = outcome == Outcome::Slow || self.config.slow_call_duration.is_some_and(|limit| duration >= limit);
        let failed = matches!(outcome, Outcome::Failure | Outcome::Unreached);
        match (self.state, permit.lease) {
            (State::HalfOpen, Some(lease)) => {
                let mine = |slot: &Slot| matches!(slot, Slot::Leased { lease: its, .. } if *its == lease);
                let Some(slot) = self.slots.iter().position(mine) else { return };
                let ignored = matches!(outcome, Outcome::Ignore | Outcome::Unreached);
                self.slots[slot] = if ignored { Slot::Free { again: false } } else { Slot::Done { failed, slow } };
                if !ignored {
                    self.tell(if failed { Kind::ProbeFailed } else { Kind::ProbeSucceeded });
                    self.judge_probes(now, retry_after);
                }
            }
            (State::Closed | State::MetricsOnly, None) if outcome != Outcome::Ignore => {
                self.count(now, failed, slow);
                if self.state == State::Closed && self.trips(now, failed, slow) {
                    let by = self.stats(now);
                    self.open(now, retry_after, by);
                }
            }
            _ => {}
        }
    }

    fn count(&mut self, now: u64, failed: bool, slow: bool) {
        self.failures_in_a_row = if failed { self.failures_in_a_row + 1 } else { 0 };
        let slice = self.slice_to_count_in(now);
        self.calls.push_back(Call { slice, failed, slow });
    }

    fn trips(&self, now: u64, failed: bool, slow: bool) -> bool {
        if failed && self.config.consecutive_failures.is_some_and(|run| self.failures_in_a_row >= run) {
            return true;
        }
        let min_calls = match self.config.window {
            Window::Calls(n) => self.config.min_calls.min(u32::try_from(n).expect("small window")),
            Window::Duration(_) => self.config.min_calls,
        };
        let (calls, failures, slow_calls) = self.stats(now);
        // A success judges only where it is the call with number `min_calls`: of the state, or of a window of time.
        let counted = match self.config.window {
            Window::Calls(_) => u32::try_from(self.calls.len()).expect("few calls"),
            Window::Duration(_) => calls,
        };
        let looks = failed || slow || counted == min_calls;
        looks && calls >= min_calls && self.too_many(failures, slow_calls, calls)
    }

    fn too_many(&self, failed: u32, slow: u32, of: u32) -> bool {
        self.reaches(self.config.failure_rate_threshold, failed, slow, of)
    }

    fn too_many_probes(&self, failed: u32, slow: u32, of: u32) -> bool {
        let threshold = self.config.probe_failure_rate_threshold.unwrap_or(self.config.failure_rate_threshold);
        self.reaches(threshold, failed, slow, of)
    }

    fn reaches(&self, threshold: f64, failed: u32, slow: u32, of: u32) -> bool {
        f64::from(failed) / f64::from(of) >= threshold
            || f64::from(slow) / f64::from(of) >= self.config.slow_call_rate_threshold
    }

    fn judge_probes(&mut self, now: u64, retry_after: u64) {
        let (mut done, mut failed, mut slow, mut pending, mut all) = (0, 0, 0, 0, 0);
        for slot in &self.slots {
            all += 1;
            match slot {
                Slot::Free { .. } | Slot::Leased { .. } => pending += 1,
                Slot::Done { failed: f, slow: s } => {
                    done += 1;
                    failed += u32::from(*f);
                    slow += u32::from(*s);
                }
                Slot::Lost => {}
            }
        }
        let certain = self.too_many_probes(failed, slow, all);
        if certain || (pending == 0 && (done == 0 || self.too_many_probes(failed, slow, done))) {
            self.open(now, retry_after, (done, failed, slow));
        } else if pending == 0 {
            self.enter(State::Closed);
            // The first whole millisecond since creation that is not before, and not the very first.
            self.closed = Some(self.start + (now - self.start).div_ceil(MS).max(1) * MS);
            self.tell(Kind::Entered(State::Closed));
            self.ramping = self.config.ramp.is_some();
            if self.ramping {
                self.tell(Kind::RampStarted);
            }
            self.ramp_watch.clear();
        }
    }

    fn cooldown(&self) -> u64 {
        let grown = self.config.cooldown as f64 * self.config.cooldown_backoff.powi(self.reopened.min(63));
        (grown as u64).min(longest_cooldown(&self.config))
    }

    /// Whether an opening now is one in a row with those before.
    fn is_in_a_row(&self, now: u64) -> bool {
        match (self.state, self.closed) {
            (State::HalfOpen, _) => true,
            // One that closed far ahead was closed by a bad reading.
            (State::Closed, Some(closed)) if !self.is_far(closed, now, 0) => {
                let healthy = self.config.healthy_after.unwrap_or(self.cooldown());
                let ramp = self.config.ramp.filter(|_| self.ramping).unwrap_or(0);
                now < closed + healthy.max(ramp)
            }
            _ => false,
        }
    }

    fn open(&mut self, now: u64, retry_after: u64, by: Trip) {
        self.reopened = if self.is_in_a_row(now) { self.reopened + 1 } else { 0 };
        let cooldown = self.cooldown().max(retry_after.min(longest_cooldown(&self.config)));
        self.enter(State::Open);
        self.last_trip = Some(by);
        self.tell(Kind::Entered(State::Open));
        self.until = self.whole_ms(now + cooldown);
        self.until_watch.clear();
    }

    /// The latest whole millisecond since creation.
    fn whole_ms(&self, at: u64) -> u64 {
        self.start + (at - self.start) / MS * MS
    }

    fn slice(&self, now: u64) -> u64 {
        self.slice_ns.map_or(0, |ns| (now - self.start) / ns)
    }

    /// The slice of a reading, or the newest when the reading is behind it.
    fn slice_to_count_in(&mut self, now: u64) -> u64 {
        let slice = self.slice(now);
        let newest = self.newest.unwrap_or(slice);
        let slack = self.slice_ns.map_or(0, |ns| SLACK_NS.div_ceil(ns));
        if newest.saturating_sub(slice) <= slack {
            self.newest_watch.clear();
            self.newest = Some(newest.max(slice));
        } else if self.newest_watch.lasted(now) {
            // It was a bad reading's. What has counted there is no part of the present window.
            self.newest_watch.clear();
            self.newest = Some(slice);
            self.calls.clear();
        }
        self.newest.unwrap_or(slice)
    }

    fn in_window(&self, now: u64, call: &Call) -> bool {
        let slices = match (self.config.window, self.slice_ns) {
            (Window::Duration(whole), Some(slice)) => whole.div_ceil(slice),
            _ => SLICES,
        };
        call.slice + slices > self.slice(now).max(self.newest.unwrap_or(0))
    }
}

fn longest_cooldown(config: &Config) -> u64 {
    config.max_cooldown.unwrap_or(64 * config.cooldown)
}
