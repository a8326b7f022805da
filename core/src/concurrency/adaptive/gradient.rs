//! The default: Gradient2's step against a baseline that is the latency of an unloaded call, measured on demand.
//!
//! A baseline that is an average of what is seen takes a lasting overload for the normal state, and a minimum that ages
//! does the same later. So while the limit decides, the baseline only falls; it rises by a *probe*: for 40 calls the
//! limit is half of what is in flight without a queue (Little's law), and their median is the new baseline.

use super::window::{Window, number};

const S: f64 = 1e9;
/// A probe ends with so many calls, or with so few when a longest window has passed.
const PROBE_CALLS: u64 = 40;
const PROBE_LEAST: u64 = 3;
/// After so many longest windows a probe ends with whatever there is.
const PROBE_WINDOWS: u64 = 4;
/// The shortest time between two probes, ns.
const SUSPECT: f64 = 5.0 * S;
/// The share that a probe's period is longer at most, so that hosts do not probe together.
const JITTER: f64 = 0.15;
/// The share of the highest median that is no less of a queue.
const UNMOVED: f64 = 0.8;

/// Settings; times in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gradient {
    pub(super) min_limit: f64,
    pub(super) initial_limit: f64,
    pub(super) max_limit: f64,
    /// How many times the baseline the median may be.
    pub(super) tolerance: f64,
    pub(super) window: u64,
    pub(super) samples: u64,
    pub(super) max_window: u64,
    pub(super) min_samples: u64,
    /// `None`: no probes.
    pub(super) probe: Option<Probe>,
    pub(super) max_latency: Option<f64>,
    /// A baseline fixed by hand.
    pub(super) base: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) every: f64,
    pub(super) floor: f64,
}

/// What is known after a window; times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct State {
    /// In force.
    pub(super) limit: f64,
    /// What a probe restores; 0: none is under way.
    pub(super) saved: f64,
    /// The latency of an unloaded call; 0: not known.
    pub(super) base: f64,
    /// When a probe or an unloaded look was last; negative: never.
    pub(super) last: f64,
    /// How old a probe must be before a suspicion repeats it.
    pub(super) wait: f64,
    /// The median that caused the last probe.
    pub(super) cause: f64,
    /// Windows in a row that saw a queue.
    pub(super) over: u64,
    /// The limit when the first of them ended, and the highest median of them.
    pub(super) from: f64,
    pub(super) highest: f64,
    /// The limit doubles as long as nothing says that it is enough.
    pub(super) slow_start: bool,
    pub(super) probes: u64,
}

impl Gradient {
    pub(super) fn start(&self) -> State {
        State {
            limit: self.initial_limit,
            saved: 0.0,
            base: self.base.unwrap_or(0.0),
            last: -1.0,
            wait: SUSPECT,
            cause: 0.0,
            over: 0,
            from: 0.0,
            highest: 0.0,
            slow_start: true,
            probes: 0,
        }
    }

    /// Whether the window is to end, `elapsed` after its start with `calls` in it.
    pub(super) fn ends(&self, is_probe: bool, elapsed: u64, calls: u64) -> bool {
        if is_probe {
            return calls >= PROBE_CALLS
                || (elapsed > self.max_window && calls >= PROBE_LEAST)
                || elapsed > PROBE_WINDOWS * self.max_window;
        }
        elapsed >= self.window && (calls >= self.samples || elapsed >= self.max_window)
    }

    /// The state after a window. `jitter`: 0 to 1, of the limiter's own.
    pub(super) fn next(&self, state: State, window: &Window, jitter: f64) -> State {
        let now = window.now as f64;
        // After a clock has stepped back, the time before it is the present.
        let state = State { last: state.last.min(now), ..state };
        if state.saved > 0.0 {
            return self.after_probe(state, window, now);
        }
        if window.calls < self.min_samples.max(1) { state } else { self.step(state, window, now, jitter) }
    }

    fn step(&self, mut state: State, window: &Window, now: f64, jitter: f64) -> State {
        let (median, most) = (window.median, f64::from(window.most));
        let is_slow = self.max_latency.is_some_and(|most| median > most);
        if state.base <= 0.0 {
            state.base = median;
        }
        if !is_slow {
            if most * 2.0 < state.limit {
                // Demand decides, not the limit: what is seen is an unloaded call.
                self.learn(&mut state, median, 0.1);
                state.last = state.last.max(now - state.wait);
                state.over = 0;
                return state;
            }
            if median < state.base {
                self.learn(&mut state, median, 0.2);
            }
        }
        let allowed = self.tolerance * state.base;
        let allowed = if is_slow { self.max_latency.map_or(allowed, |most| most.min(allowed)) } else { allowed };
        let gradient = (allowed / median).clamp(0.5, 1.0);
        state.over = if gradient < 1.0 { state.over + 1 } else { 0 };
        if state.over == 1 {
            (state.from, state.highest) = (state.limit, 0.0);
        }
        state.highest = state.highest.max(median);
        state.slow_start &= state.over != 2;
        if !is_slow && let Some(probed) = self.probe(&state, window, now, jitter) {
            return probed;
        }
        let limit = state.limit;
        // What a limit may always grow by; not above the highest latency.
        let room = if is_slow { 0.0 } else { 1.0 };
        let next = if gradient < 1.0 {
            limit / 2.0 + (limit * gradient + room) / 2.0
        } else if window.saturated && state.slow_start {
            limit * 2.0
        } else if window.saturated || most >= 0.8 * limit {
            limit + limit.sqrt()
        } else {
            limit
        };
        let next = if window.dropped.saturating_mul(10) > window.calls { next.min(0.9 * limit) } else { next };
        State { limit: next.max(self.min_limit).min(self.max_limit), ..state }
    }

    fn learn(&self, state: &mut State, median: f64, share: f64) {
        if self.base.is_none() {
            state.base += (median - state.base) * share;
        }
    }

    /// The state with a probe begun, if it is time for one.
    fn probe(&self, state: &State, window: &Window, now: f64, jitter: f64) -> Option<State> {
        let probe = self.probe.filter(|_| self.base.is_none())?;
        let since = if state.last < 0.0 { f64::INFINITY } else { now - state.last };
        let due = window.saturated && since > probe.every * (1.0 + JITTER * jitter);
        // What was confirmed at another latency is not confirmed at this one.
        let has_risen = window.median > 1.5 * state.cause && since > SUSPECT;
        // Half the limit would have halved a queue.
        let is_unmoved = state.limit <= 0.5 * state.from && window.median >= UNMOVED * state.highest && since > SUSPECT;
        let is_suspect = state.over >= 2 && (has_risen || is_unmoved || since > state.wait);
        (due || is_suspect).then(|| {
            let rate = window.calls as f64 / (window.span as f64).max(1.0);
            // A window may have begun while there was little to do; a limit that is reached says what comes of it.
            let rate = if window.saturated { rate.max(state.limit / window.median) } else { rate };
            let half = (rate * state.base / 2.0).ceil();
            let limit = half.min(state.limit / 2.0).max(probe.floor);
            State {
                limit: limit.min(state.limit).min(self.max_limit),
                saved: state.limit,
                cause: window.median,
                probes: state.probes.wrapping_add(1),
                ..*state
            }
        })
    }

    fn after_probe(&self, mut state: State, window: &Window, now: f64) -> State {
        if window.calls >= PROBE_LEAST {
            let changed = (window.median - state.base).abs() > 0.3 * state.base;
            let longest = self.probe.map_or(SUSPECT, |probe| probe.every);
            state.base = window.median;
            // What was confirmed is asked less often.
            state.wait = if changed { SUSPECT } else { longest.min(state.wait * 2.0) };
        }
        let limit = state.saved.max(self.min_limit).min(self.max_limit);
        State { limit, saved: 0.0, last: now, over: 0, ..state }
    }
}

/// As words of shared memory; whatever stands there is a state.
pub(super) type Words = [u64; 11];

impl State {
    pub(super) fn to_words(self) -> Words {
        let [limit, saved, base] = [self.limit, self.saved, self.base].map(f64::to_bits);
        let [last, wait, cause] = [self.last, self.wait, self.cause].map(f64::to_bits);
        let [from, highest] = [self.from, self.highest].map(f64::to_bits);
        [limit, saved, base, last, wait, cause, self.over, from, highest, u64::from(self.slow_start), self.probes]
    }

    pub(super) fn of_words(words: Words) -> Self {
        let [limit, saved, base, last, wait, cause, over, from, highest, slow_start, probes] = words;
        let [limit, saved, base] = [limit, saved, base].map(number);
        let [wait, cause, from, highest] = [wait, cause, from, highest].map(number);
        let (last, over, slow_start) = (f64::from_bits(last).max(-1.0), over & 0xffff, slow_start != 0);
        Self { limit, saved, base, last, wait, cause, over, from, highest, slow_start, probes }
    }
}
