//! Circuit breaker: stop calling what is broken, and find out gently when it is well again.
//!
//! The pattern is Nygard's ("Release It!", 2007); terms and defaults follow Resilience4j's `CircuitBreaker`. There is
//! no lock anywhere (recloser, its nearest relative in Rust, hides a spin lock in its window): a thread killed between
//! any two instructions leaves every other able to go on.
//!
//! | file | idea |
//! |---|---|
//! | `control.rs` | one word decides: state, generation, backoff, end of the cooldown |
//! | `count_window`, `time_window` | outcomes as a log of chunks, each judged as of its own place in it |
//! | `run.rs` | failures in a row |
//! | `probes.rs`, `half_open.rs` | the slots of the half-open state and their verdict |
//! | `ramp.rs` | after closing, calls come back by degrees |
//! | `owners.rs` | which process holds a probe |
//! | `overdue.rs` | calls that are slow before they end, for bindings |
//! | `events.rs` | the ring of transitions |
//! | `counts.rs` | what became of calls since it was made |
//! | `trip.rs` | what opened it |
//! | `memory.rs` | what all of that lives in: atomics without pointers |
//! | `arena.rs` | a breaker that processes share |
//! | `registry/` | a breaker for each key, in a fixed number of places |
//! | `config.rs` | settings and their bounds |
//! | `settings.rs`, `words.rs`, `rules.rs` | those in force: shared, changed at run time; and what follows from them |
//! | `layout.rs` | what stays as it was made: sizes and units |
//! | `look.rs` | whether a call would be refused |

#[cfg(not(loom))]
mod arena;
mod config;
mod control;
mod count_window;
mod counts;
mod events;
mod guard;
mod half_open;
mod layout;
mod look;
#[cfg(all(test, loom))]
mod loom_tests;
mod memory;
mod operator;
#[doc(hidden)] // For the bindings of Python and Node.
pub mod overdue;
mod owners;
mod permit;
mod probes;
mod ramp;
pub mod registry;
mod report;
mod ring;
mod rules;
mod run;
mod settings;
mod state;
mod tally;
mod time_window;
mod trip;
mod words;

pub use crate::outcome::{Classified, MAX_RETRY_AFTER, Outcome};
pub use config::{BreakerConfig, SETTINGS, Window};
pub use counts::{BreakerCounts, CallOutcome};
pub use events::{Event, EventKind};
pub use guard::{CallError, Guard};
pub use permit::{Permit, Rejected};
pub use state::{BreakerStats, State};
pub use trip::Trip;

use crate::counters::Striped;
use crate::memory::{ChangeLock, ObjectAllocator, One};
use crate::sync::Ordering;
use crate::sys;
use crate::{Clock, ConfigError};
use control::Control;
use count_window::CountWindow;
use layout::{Layout, Origin, WindowRoom};
use memory::{Head, Words};
use owners::Owners;
use permit::UNTIMED;
use probes::Probes;
use registry::Place;
use rules::Rules;
use std::fmt;
use std::sync::Arc;
use tally::Tally;
use time_window::TimeWindow;

/// A circuit breaker: closed → open → half-open.
///
/// Closed, it counts outcomes and opens as soon as the failure rate, the slow-call rate or a run of failures reaches
/// its threshold. Open, it refuses until the cooldown ends. Half-open, it lets a few probes pass and judges by them.
///
/// The trip comes exactly at the threshold even under races: each reporter judges the window as of its own outcome.
/// Every transition begins a new generation, and an outcome of an earlier one is dropped.
///
/// Thread safety: every method may be called from any thread at any time; none takes a lock, and only
/// [`new`](Self::new) and [`events_since`](Self::events_since) allocate.
#[repr(C)]
pub struct CircuitBreaker {
    /// Of one that stands in a registry. First: who looks its key up finds it beside the counts of the handle's `Arc`,
    /// and has to write those anyway.
    place: Option<Place>,
    head: One<Head>,
    clock: Clock,
    origin: Origin,
    layout: Layout,
    outcomes: Outcomes,
    probes: Probes,
    owners: Owners,
    calls: Striped<{ counts::LANES }>,
    changes: Arc<ChangeLock>,
    name: String,
}

/// What a breaker shares: all of its state, and the lock under which settings change.
struct Parts {
    head: One<Head>,
    window: Words,
    probes: Probes,
    owners: Owners,
    calls: Striped<{ counts::LANES }>,
    changes: Arc<ChangeLock>,
}

#[derive(Debug)]
enum Outcomes {
    Count(CountWindow),
    Time(TimeWindow),
}

/// Turns of a loop after which the answer is a refusal: foreign bytes must not keep a caller for ever.
const PATIENCE: usize = 1_000;

/// The lap of the latest trip: a zeroed word is none.
const IS_TRIP: u64 = 1;

impl CircuitBreaker {
    /// A closed breaker on the monotonic clock. `name` stands in errors and events.
    ///
    /// Errors: an empty name, a setting outside its bounds, see [`BreakerConfig`].
    pub fn new(name: impl Into<String>, config: BreakerConfig) -> Result<Self, ConfigError> {
        Self::with_clock(name, config, Clock::monotonic())
    }

    /// A closed breaker on `clock`.
    ///
    /// Errors: as [`new`](Self::new).
    pub fn with_clock(name: impl Into<String>, config: BreakerConfig, clock: Clock) -> Result<Self, ConfigError> {
        let (name, made_ns) = (name.into(), clock.now());
        if name.is_empty() {
            let message = "is empty; name what the breaker guards (\"payments\"): the name stands in errors and events";
            return Err(ConfigError::syntax("name", message));
        }
        config.validate()?;
        let layout = Layout::of(&config);
        Self::in_room(&mut ObjectAllocator::of_process(false), name, &config, layout, made_ns, clock)
    }

    /// The next parts of `room`; its settings, which are sound, only where that is fresh.
    fn in_room(
        room: &mut ObjectAllocator,
        name: String,
        config: &BreakerConfig,
        layout: Layout,
        epoch_ns: u64,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let head = room.one::<Head>()?;
        if room.is_fresh() {
            // Relaxed: nobody else has it yet.
            head.control.word.store(Control::FIRST.0, Ordering::Relaxed);
        }
        let window = |room: &mut ObjectAllocator| Words::in_room(room, Outcomes::words(&layout));
        let window = if layout.counts_calls() { room.sized_by(&config::WINDOW_CALLS, window) } else { window(room) }?;
        let probes = room.sized_by(&config::PROBES, |room| Probes::in_room(room, layout.probes))?;
        let calls = Striped::in_room(room)?;
        let (owners, changes) = (Owners::of(room), Arc::new(ChangeLock::of(room)));
        let parts = Parts { head, window, probes, owners, calls, changes };
        let breaker = Self::of_parts(parts, name, layout, epoch_ns, clock, None);
        if room.is_fresh() {
            breaker.put_first(config);
        }
        Ok(breaker)
    }

    /// Of parts that are as large as the layout says.
    fn of_parts(parts: Parts, name: String, layout: Layout, epoch_ns: u64, clock: Clock, place: Option<Place>) -> Self {
        let Parts { head, window, probes, owners, calls, changes } = parts;
        let origin = Origin::new(&layout, epoch_ns);
        let outcomes = match layout.window {
            WindowRoom::Calls { chunks } => Outcomes::Count(CountWindow::over(window, chunks)),
            WindowRoom::Duration { slice_ns } => Outcomes::Time(TimeWindow::over(window, slice_ns)),
        };
        Self { name, clock, origin, layout, head, outcomes, probes, owners, calls, changes, place }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The clock of the plain forms.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    #[inline]
    fn control(&self) -> Control {
        // Acquire: pairs with the release of the transition, so that what came before it is seen.
        let seen = Control(self.head.control.word.load(Ordering::Acquire));
        match &self.place {
            None => seen,
            // After the word: who made room changed the incarnation before any word of the next one.
            Some(place) => place.control(seen, &self.head.control),
        }
    }

    /// Whether its place in a registry is no more its own, by a look at the control word.
    fn has_gone(&self, seen: Control) -> bool {
        self.place.is_some() && seen.is_retired()
    }

    /// Asks for one call. The clock is read only where the answer needs it: not in a closed breaker without
    /// `slow_call_duration`.
    ///
    /// Result: a permit to report, or the refusal with the time until a probe may be tried.
    #[inline]
    pub fn acquire(&self) -> Result<Permit, Rejected> {
        self.acquire_when(|| self.clock.now(), sys::draw)
    }

    /// [`acquire`](Self::acquire) at `now` nanoseconds of this breaker's clock, by a `draw` of 0 to below 1: in a ramp
    /// a call passes where it is below the chance. Otherwise it plays no part.
    #[inline]
    pub fn acquire_at(&self, now: u64, draw: f64) -> Result<Permit, Rejected> {
        self.acquire_when(|| now, || draw)
    }

    /// [`acquire`](Self::acquire) by a draw of one's own.
    #[inline]
    pub fn acquire_with(&self, draw: f64) -> Result<Permit, Rejected> {
        self.acquire_when(|| self.clock.now(), || draw)
    }

    /// [`acquire`](Self::acquire) that notes the time whatever the settings, for a classifier that judges by what
    /// [`took`](Self::took) says.
    #[inline]
    pub fn acquire_timed(&self) -> Result<Permit, Rejected> {
        let mut permit = self.acquire()?;
        if permit.started_ns == UNTIMED {
            permit.started_ns = self.clock.now();
        }
        Ok(permit)
    }

    #[inline]
    fn acquire_when(&self, now: impl Fn() -> u64, draw: impl Fn() -> f64) -> Result<Permit, Rejected> {
        let seen = self.control();
        if seen.is_closed() && self.place.is_none() {
            let started_ns = if self.brief().times_calls() { now() } else { UNTIMED };
            return Ok(Permit { word: seen.0, started_ns });
        }
        self.acquire_with_care(seen, now, draw)
    }

    // Not inlined, so that the common case stays small at the call site.
    #[inline(never)]
    fn acquire_with_care(
        &self,
        seen: Control,
        clock: impl Fn() -> u64,
        draw: impl Fn() -> f64,
    ) -> Result<Permit, Rejected> {
        match self.acquire_here(seen, &clock, &draw) {
            Some(answer) => answer,
            None => self.acquire_elsewhere(clock(), draw()),
        }
    }

    /// `None`: its place in a registry is no more its own.
    fn acquire_here(
        &self,
        mut seen: Control,
        clock: &impl Fn() -> u64,
        draw: &impl Fn() -> f64,
    ) -> Option<Result<Permit, Rejected>> {
        if self.has_gone(seen) {
            return None;
        }
        // Forced open and disabled need no time.
        match (seen.state(), &self.place) {
            (State::ForcedOpen, _) => return Some(Err(self.reject(seen, u64::MAX))),
            (State::Disabled, _) => return Some(Ok(Permit { word: seen.permit(0), started_ns: UNTIMED })),
            (_, None) => {}
            (_, Some(place)) => {
                let now = clock();
                place.note_call(now);
                if seen.is_closed() {
                    let started_ns = if self.brief().times_calls() { now } else { UNTIMED };
                    return Some(Ok(Permit { word: seen.0, started_ns }));
                }
            }
        }
        let mut now = clock();
        for _ in 0..PATIENCE {
            match seen.state() {
                State::Closed if seen.is_ramping() => {
                    if let Some(answer) = self.acquire_in_ramp(seen, now, clock, draw) {
                        return Some(answer);
                    }
                }
                State::Closed | State::Disabled | State::MetricsOnly => {
                    let started_ns = if self.brief().times_calls() { now } else { UNTIMED };
                    return Some(Ok(Permit { word: seen.permit(0), started_ns }));
                }
                State::ForcedOpen if self.has_gone(seen) => return None,
                State::ForcedOpen => return Some(Err(self.reject(seen, u64::MAX))),
                State::Open => {
                    let longest = self.longest_cooldown_ns();
                    if self.origin.cooldown_left(seen, now, longest).is_none() {
                        // Read after the word: a thread that came late with a sound clock finds it plausible now.
                        now = clock();
                    }
                    let left = self.wait_for(seen, now, longest);
                    // One reading alone never ends a cooldown that lies impossibly far ahead: it may be a late
                    // thread's.
                    self.head.control.watch.judge(self.origin.cooldown_left(seen, now, longest).is_some(), now);
                    if left > 0 {
                        return Some(Err(self.reject(seen, left)));
                    }
                    self.transition(seen, seen.next_half_open(self.rules().probes), now);
                }
                State::HalfOpen => {
                    if let Some(answer) = self.acquire_probe(seen, now) {
                        return Some(answer);
                    }
                }
            }
            seen = self.control();
        }
        Some(Err(self.reject(seen, self.rules().cooldown_ns)))
    }

    fn reject(&self, seen: Control, retry_after_ns: u64) -> Rejected {
        self.calls.add(CallOutcome::Rejected as usize, 1);
        let ramping = seen.is_ramping();
        let tripped = ramping || matches!(seen.state(), State::Open | State::HalfOpen);
        Rejected { retry_after_ns, trip: if tripped { self.last_trip() } else { None }, ramping }
    }

    /// What last opened it by itself.
    fn last_trip(&self) -> Option<Trip> {
        // Relaxed: written before the control word that the caller has read with Acquire, by an exchange that released
        // it.
        trip::of(self.head.control.trip.load(Ordering::Relaxed), self.lap())
    }

    /// What marks a trip as its own: not one that somebody late left in its place.
    fn lap(&self) -> u64 {
        self.place.as_ref().map_or(IS_TRIP, |place| IS_TRIP + place.incarnation() % 15)
    }

    /// Where it stands. An open breaker whose cooldown has ended still reads `Open` until somebody acquires a probe.
    pub fn state(&self) -> State {
        self.look(|_, seen| seen.state()).unwrap_or(State::Closed)
    }

    /// [`state`](Self::state) at `now`: no state ends by itself, so every time gives the same answer.
    pub fn state_at(&self, _now: u64) -> State {
        self.state()
    }

    /// Nanoseconds until an open circuit lets a probe pass; 0 when it is not open, `u64::MAX` while forced open.
    ///
    /// In half-open the refusal itself says how long the probes may take.
    pub fn retry_after_ns(&self) -> u64 {
        self.retry_after_ns_at(self.clock.now())
    }

    /// [`retry_after_ns`](Self::retry_after_ns) at `now`.
    pub fn retry_after_ns_at(&self, now: u64) -> u64 {
        self.look(|it, seen| it.wait(seen, now)).unwrap_or(0)
    }

    fn wait(&self, seen: Control, now: u64) -> u64 {
        self.wait_for(seen, now, self.longest_cooldown_ns())
    }

    fn wait_for(&self, seen: Control, now: u64, longest_ns: u64) -> u64 {
        match seen.state() {
            State::Closed | State::HalfOpen | State::Disabled | State::MetricsOnly => 0,
            State::ForcedOpen => u64::MAX,
            State::Open => {
                let left = self.origin.cooldown_left(seen, now, longest_ns);
                left.unwrap_or_else(|| self.head.control.watch.wait(now))
            }
        }
    }

    /// The window and counters. The parts are read one after the other, not at one instant.
    pub fn stats(&self) -> BreakerStats {
        self.stats_at(self.clock.now())
    }

    /// [`stats`](Self::stats) at `now`.
    pub fn stats_at(&self, now: u64) -> BreakerStats {
        self.look(|it, seen| it.stats_of(seen, now)).unwrap_or(BreakerStats::NEW)
    }

    fn stats_of(&self, seen: Control, now: u64) -> BreakerStats {
        let window = self.window(seen.generation(), now, self.judge().window);
        BreakerStats {
            state: seen.state(),
            ramping: seen.is_ramping(),
            calls: window.calls,
            failed: window.failed,
            slow: window.slow,
            failure_rate: window.failure_rate(),
            slow_call_rate: window.slow_rate(),
            rejected: self.calls.sum(CallOutcome::Rejected as usize),
            // Relaxed: a statistic.
            opened: self.head.transitions[State::Open as usize].load(Ordering::Relaxed),
            retry_after_ns: self.wait(seen, now),
            last_trip: self.last_trip(),
        }
    }

    /// The calls of a window of so many calls, or slices.
    fn window(&self, generation: u16, now: u64, size: u32) -> Tally {
        match &self.outcomes {
            Outcomes::Count(window) => window.tally(generation, size),
            Outcomes::Time(window) => window.tally(generation, self.origin.since_epoch(now), size),
        }
    }

    /// Events from number `from` on, oldest first, as many as the ring still holds (the latest 64).
    ///
    /// Poll with the last number seen + 1. A thread killed right after a transition leaves its event out.
    pub fn events_since(&self, from: u64) -> Vec<Event> {
        self.look(|it, _| it.events_here(from)).unwrap_or_default()
    }

    fn events_here(&self, from: u64) -> Vec<Event> {
        // Relaxed: written before the control word that the caller has read with Acquire.
        let first = self.head.first_event.load(Ordering::Relaxed);
        let mut events = self.head.events.since(first.saturating_add(from), |ms| self.origin.clock_ns(ms));
        events.iter_mut().for_each(|event| event.seq = event.seq.saturating_sub(first));
        events
    }

    fn replace(&self, seen: Control, next: Control) -> bool {
        // AcqRel: the new state is seen with everything that led to it. Failure Relaxed: the caller loads afresh.
        self.head.control.word.compare_exchange(seen.0, next.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Goes from `seen` to `next` unless the state has changed meanwhile.
    fn transition(&self, seen: Control, next: Control, now: u64) {
        if self.replace(seen, next) {
            self.emit_state(next.state(), now);
        }
    }

    fn open(&self, seen: Control, now: u64, retry_after_ns: u64, by: Tally, rules: &Rules) {
        let trip = &self.head.control.trip;
        // More than once where the ramp ends in between: the word changes then, and its generation stays.
        for _ in 0..PATIENCE {
            // Before the exchange, so that no refusal comes without it; by anyone who is about to open, for each of
            // them has seen a reason. Not by one who comes late: the word was loaded before the state was found
            // unchanged, so a later trip is not undone.
            // Acquire: the load of the state is not before it.
            let before = trip.load(Ordering::Acquire);
            let found = self.control();
            if seen.has_ended(found.0) {
                return;
            }
            // Release: who loads it sees the state that it belongs to, see above. A failure: somebody else has seen a
            // reason too.
            let _ = trip.compare_exchange(before, trip::word(by, self.lap()), Ordering::Release, Ordering::Relaxed);
            // Before the exchange: a note is of one cooldown.
            self.head.control.watch.clear();
            if self.replace(found, rules.opened(found, now, retry_after_ns)) {
                self.note_transition(State::Open);
                self.head.events.push_trip(by, self.origin.ms(now));
                return;
            }
        }
    }

    fn emit_state(&self, state: State, now: u64) {
        self.note_transition(state);
        let kind = match state {
            State::Closed => EventKind::Closed,
            State::Open => EventKind::Opened,
            State::HalfOpen => EventKind::HalfOpened,
            State::ForcedOpen => EventKind::ForcedOpen,
            State::Disabled => EventKind::Disabled,
            State::MetricsOnly => EventKind::MetricsOnly,
        };
        self.emit(kind, now);
    }

    fn emit(&self, kind: EventKind, now: u64) {
        self.head.events.push(kind, self.origin.ms(now));
    }
}

impl Outcomes {
    /// How many words a window needs.
    fn words(layout: &Layout) -> usize {
        match layout.window {
            WindowRoom::Calls { chunks } => CountWindow::words(chunks),
            WindowRoom::Duration { .. } => TimeWindow::WORDS,
        }
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.name)
            .field("state", &self.state())
            .field("config", &self.config())
            .finish_non_exhaustive()
    }
}
