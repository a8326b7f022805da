//! Adaptive concurrency limit: samples in a list, sorted when a window ends.

use std::collections::HashMap;

/// How the limit moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub enum Algorithm {
    Gradient,
    Gradient2,
    Vegas,
    Aimd,
}

/// The settings, times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub struct Settings {
    pub algorithm: Algorithm,
    pub min_limit: u32,
    pub initial_limit: u32,
    pub max_limit: u32,
    pub tolerance: f64,
    pub window: u64,
    pub samples: usize,
    pub max_window: u64,
    pub min_samples: usize,
    pub probe: bool,
    pub probe_every: u64,
    pub probe_floor: Option<u32>,
    pub max_latency: Option<u64>,
    pub base: Option<u64>,
    pub timeout: u64,
    pub backoff_ratio: f64,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub enum Outcome {
    Success,
    Ignore,
    Dropped,
}

/// What the algorithms remember, each its own part.
#[derive(Clone, Debug)]
struct Memory {
    limit: f64,
    /// The limit that a probe restores.
    saved: Option<f64>,
    /// The latency of an unloaded call: ns.
    base: Option<f64>,
    last_look: Option<f64>,
    wait: f64,
    cause: f64,
    /// Windows in a row with a queue: their number, the limit at the first, the highest median.
    queue: Option<(u32, f64, f64)>,
    slow_start: bool,
    probes: u64,
    /// Netflix's: calls since the last probe and its jitter; the plain and the moving average.
    count: u64,
    jitter: f64,
    plain: Vec<f64>,
    average: f64,
}

#[derive(Clone, Debug, Default)]
struct Window {
    start: u64,
    number: u64,
    latencies: Vec<u64>,
    dropped: usize,
    most: usize,
    saturated: bool,
}

/// A limiter that one thread uses.
#[derive(Clone, Debug)]
pub struct Limiter {
    settings: Settings,
    seed: u64,
    memory: Memory,
    window: Window,
    /// When each permit that is out was asked for.
    held: HashMap<u64, u64>,
    permits: u64,
}

const S: f64 = 1e9;

/// A number from 0 to 1: `SplitMix64` from a seed, the n-th.
fn draw(seed: u64, n: u64) -> f64 {
    let z = seed.wrapping_add((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as f64 / u64::MAX as f64
}

/// Where the word of a histogram begins: eight an octave, from 1,024 ns.
fn bound(word: u32) -> f64 {
    f64::from(8 + word % 8) * 128.0 * 2_f64.powi((word / 8).try_into().expect("30 octaves"))
}

/// The upper median as a histogram knows it.
fn median(latencies: &[u64]) -> f64 {
    let mut words: Vec<u32> =
        latencies.iter().map(|&ns| (1..240).take_while(|&word| bound(word) <= ns as f64).last().unwrap_or(0)).collect();
    words.sort_unstable();
    let rank = words.len() / 2;
    let word = words[rank];
    let first = words.iter().position(|&other| other == word).expect("itself");
    let count = words.iter().filter(|&&other| other == word).count();
    bound(word) + (bound(word + 1) - bound(word)) * ((rank - first) as f64 + 0.5) / count as f64
}

fn log10(limit: f64) -> f64 {
    f64::from(((limit as u32).max(1)).ilog10().max(1))
}

impl Limiter {
    /// Nothing is known yet.
    pub fn new(settings: Settings, start: u64) -> Self {
        let memory = Memory {
            limit: settings.initial_limit.into(),
            saved: None,
            base: settings.base.filter(|_| settings.algorithm == Algorithm::Gradient).map(|ns| ns as f64),
            last_look: None,
            wait: 5.0 * S,
            cause: 0.0,
            queue: None,
            slow_start: true,
            probes: 0,
            count: 0,
            jitter: 0.5 + draw(start, 0) / 2.0,
            plain: Vec::new(),
            average: 0.0,
        };
        let window = Window { start, ..Window::default() };
        Self { settings, seed: start, memory, window, held: HashMap::new(), permits: 0 }
    }

    /// The limit in force.
    pub fn limit(&self) -> u32 {
        (self.memory.limit as u32).clamp(1, self.settings.max_limit)
    }

    /// Permits held.
    pub fn in_use(&self) -> u32 {
        self.held.len() as u32
    }

    /// A permit or none.
    pub fn try_acquire(&mut self, now: u64) -> Option<u64> {
        if self.held.len() < self.limit() as usize {
            self.permits += 1;
            self.held.insert(self.permits, now);
            self.window.most = self.window.most.max(self.held.len());
            return Some(self.permits);
        }
        self.window.saturated = true;
        if self.memory.saved.is_some() {
            self.end_window_if_due(now, self.window.latencies.len());
        }
        None
    }

    /// Whether it was held.
    pub fn release(&mut self, permit: u64) -> bool {
        self.held.remove(&permit).is_some()
    }

    /// Whether it was held; what became of its call counts then.
    pub fn report(&mut self, now: u64, permit: u64, outcome: Outcome, latency: Option<u64>) -> bool {
        let Some(asked) = self.held.remove(&permit) else { return false };
        if outcome == Outcome::Ignore {
            return true;
        }
        if asked > now {
            self.end_window_if_due(now, 0);
            return true;
        }
        let latency = latency.unwrap_or(now - asked);
        let is_gradient = self.settings.algorithm == Algorithm::Gradient;
        let counts =
            if is_gradient { self.memory.saved.is_none() || asked >= self.window.start } else { latency >= 100_000 };
        if counts {
            let base = if is_gradient { self.memory.base.unwrap_or(0.0) as u64 } else { 0 };
            let is_dropped = outcome == Outcome::Dropped;
            // The published base is that of the last window's end.
            let known = if self.window.number == 0 { 0 } else { base };
            self.window.latencies.push(if is_dropped { latency.max(known) } else { latency });
            self.window.dropped += usize::from(is_dropped);
        }
        self.end_window_if_due(now, if counts { self.window.latencies.len() } else { 0 });
        true
    }

    fn end_window_if_due(&mut self, now: u64, calls: usize) {
        let Settings { algorithm, window, samples, max_window, .. } = self.settings;
        let is_gradient = algorithm == Algorithm::Gradient;
        let longest = if is_gradient { max_window } else { window };
        let is_behind = self.window.start > now && self.window.start - now > longest;
        let elapsed = now.saturating_sub(self.window.start);
        let is_over = match (is_gradient, self.memory.saved) {
            (false, _) => self.window.number == 0 || elapsed > window,
            (true, None) => elapsed >= window && (calls >= samples || elapsed >= max_window),
            (true, Some(_)) => calls >= 40 || (elapsed > max_window && calls >= 3) || elapsed > 4 * max_window,
        };
        if !is_behind && !is_over {
            return;
        }
        let next = Window { start: now, number: self.window.number + 1, ..Window::default() };
        let mut seen = std::mem::replace(&mut self.window, next);
        if is_behind {
            return;
        }
        if seen.saturated {
            seen.most = self.settings.max_limit as usize;
        }
        let enough = seen.latencies.len() >= if is_gradient { 0 } else { samples };
        match algorithm {
            _ if !enough => {}
            Algorithm::Gradient => self.gradient(&seen, now),
            Algorithm::Gradient2 => self.gradient2(&seen),
            Algorithm::Vegas => self.vegas(&seen),
            Algorithm::Aimd => self.aimd(&seen),
        }
    }

    fn bounded(&self, limit: f64) -> f64 {
        limit.max(self.settings.min_limit.into()).min(self.settings.max_limit.into())
    }

    fn gradient(&mut self, seen: &Window, now: u64) {
        let settings = self.settings;
        let (at, calls) = (now as f64, seen.latencies.len());
        self.memory.last_look = self.memory.last_look.map(|look| look.min(at));
        if let Some(saved) = self.memory.saved.take() {
            if calls >= 3 {
                let (base, before) = (median(&seen.latencies), self.memory.base.unwrap_or(0.0));
                let confirmed = (base - before).abs() <= 0.3 * before;
                self.memory.wait =
                    if confirmed { (self.memory.wait * 2.0).min(settings.probe_every as f64) } else { 5.0 * S };
                self.memory.base = Some(base);
            }
            self.memory.limit = self.bounded(saved);
            self.memory.last_look = Some(at);
            self.memory.queue = None;
            return;
        }
        if calls < settings.min_samples {
            return;
        }
        let r = median(&seen.latencies);
        let too_slow = settings.max_latency.filter(|&most| r > most as f64).map(|most| most as f64);
        let mut base = self.memory.base.unwrap_or(r);
        let mut learn = |share: f64| {
            if settings.base.is_none() {
                base += (r - base) * share;
            }
        };
        let limit = self.memory.limit;
        let is_idle = seen.most as f64 * 2.0 < limit;
        if too_slow.is_none() && is_idle {
            learn(0.1);
        } else if too_slow.is_none() && self.memory.base.is_some_and(|base| r < base) {
            learn(0.2);
        }
        self.memory.base = Some(base);
        if too_slow.is_none() && is_idle {
            let look = self.memory.last_look.unwrap_or(-1.0);
            self.memory.last_look = Some(look.max(at - self.memory.wait)).filter(|&look| look >= 0.0);
            self.memory.queue = None;
            return;
        }
        let allowed = too_slow.map_or(settings.tolerance * base, |most| most.min(settings.tolerance * base));
        let g = (allowed / r).clamp(0.5, 1.0);
        self.memory.queue = (g < 1.0).then(|| {
            let (windows, from, highest) = self.memory.queue.unwrap_or((0, limit, 0.0));
            (windows + 1, from, highest.max(r))
        });
        if self.memory.queue.is_some_and(|(windows, ..)| windows == 2) {
            self.memory.slow_start = false;
        }
        if too_slow.is_none() && settings.probe && settings.base.is_none() && self.is_probe_due(seen, at, r) {
            let span = now.saturating_sub(seen.start).max(1);
            let seen_rate = calls as f64 / span as f64;
            let rate = if seen.saturated { seen_rate.max(limit / r) } else { seen_rate };
            let half = (rate * base / 2.0).ceil();
            let floor = settings.probe_floor.unwrap_or(settings.min_limit);
            self.memory.saved = Some(limit);
            self.memory.cause = r;
            self.memory.probes += 1;
            self.memory.limit = half.min(limit / 2.0).max(floor.into()).min(limit).min(settings.max_limit.into());
            return;
        }
        let near = seen.saturated || seen.most as f64 >= 0.8 * limit;
        let mut next = match () {
            () if g < 1.0 => limit / 2.0 + (limit * g + if too_slow.is_some() { 0.0 } else { 1.0 }) / 2.0,
            () if seen.saturated && self.memory.slow_start => limit * 2.0,
            () if near => limit + limit.sqrt(),
            () => limit,
        };
        if seen.dropped * 10 > calls {
            next = next.min(0.9 * limit);
        }
        self.memory.limit = self.bounded(next);
    }

    fn is_probe_due(&self, seen: &Window, at: f64, r: f64) -> bool {
        let Memory { last_look, wait, cause, queue, limit, probes, .. } = self.memory;
        let since = last_look.map_or(f64::INFINITY, |look| at - look);
        let every = self.settings.probe_every as f64 * (1.0 + 0.15 * draw(self.seed, probes));
        let suspicion = queue.filter(|&(windows, ..)| windows >= 2).is_some_and(|(_, from, highest)| {
            let is_unmoved = limit <= 0.5 * from && r >= 0.8 * highest;
            since > wait || (since > 5.0 * S && (r > 1.5 * cause || is_unmoved))
        });
        suspicion || (seen.saturated && since > every)
    }

    fn mean(seen: &Window) -> f64 {
        (seen.latencies.iter().sum::<u64>() / seen.latencies.len() as u64).max(1) as f64
    }

    fn gradient2(&mut self, seen: &Window) {
        let r = Self::mean(seen);
        if self.memory.plain.len() < 10 {
            self.memory.plain.push(r);
            self.memory.average = self.memory.plain.iter().sum::<f64>() / self.memory.plain.len() as f64;
        } else {
            let factor = 2.0 / 601.0;
            self.memory.average = self.memory.average * (1.0 - factor) + r * factor;
        }
        let long = self.memory.average;
        if long / r > 2.0 {
            self.memory.average *= 0.95;
        }
        let limit = self.memory.limit;
        if seen.most as f64 >= limit / 2.0 {
            let g = (self.settings.tolerance * long / r).clamp(0.5, 1.0);
            self.memory.limit = self.bounded(limit * 0.8 + (limit * g + 4.0) * 0.2);
        }
    }

    fn vegas(&mut self, seen: &Window) {
        let (r, limit) = (Self::mean(seen), self.memory.limit);
        self.memory.count += 1;
        if self.memory.jitter * 30.0 * limit <= self.memory.count as f64 {
            self.memory.jitter = 0.5 + draw(self.seed, self.window.number) / 2.0;
            self.memory.count = 0;
            self.memory.base = Some(r);
            return;
        }
        let Some(least) = self.memory.base.filter(|&least| r >= least) else {
            self.memory.base = Some(r);
            return;
        };
        let queue = (limit * (1.0 - least / r)).ceil();
        let log = log10(limit);
        let next = if seen.dropped > 0 {
            limit - log
        } else if (seen.most as f64) < limit / 2.0 {
            limit
        } else if queue <= log {
            limit + 6.0 * log
        } else if queue < 3.0 * log {
            limit + log
        } else if queue > 6.0 * log {
            limit - log
        } else {
            limit
        };
        self.memory.limit = self.bounded(next);
    }

    fn aimd(&mut self, seen: &Window) {
        let limit = self.memory.limit;
        let next = if seen.dropped > 0 || Self::mean(seen) > self.settings.timeout as f64 {
            (limit * self.settings.backoff_ratio).floor()
        } else if seen.most as f64 >= limit / 2.0 {
            limit + 1.0
        } else {
            limit
        };
        self.memory.limit = self.bounded(next);
    }
}
