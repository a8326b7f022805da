//! What a limiter is made with.

/// How a key is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Algorithm {
    TokenBucket,
    FixedWindow,
    SlidingWindow,
    SlidingLog,
    LeakyBucket,
}

/// `count` every `period_ns`, at most `burst` at once. Windows admit `burst` every `period_ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the line above says it")]
pub struct Quota {
    pub count: u64,
    pub period_ns: u64,
    pub burst: u32,
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It stands.
    Enforce,
    /// It is counted, and turned into an admission.
    DryRun,
    /// Nobody asks.
    Disabled,
}

/// A block after repeated denials.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// Which denial blocks.
    pub after: u32,
    /// All of them within this time from the first.
    pub within_ns: u64,
    /// The first block.
    pub duration_ns: u64,
    /// Each block to the one before.
    pub growth: f64,
    /// The longest.
    pub max_ns: u64,
}

/// A ramp from the fraction `from` to the whole limit.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the line above says it")]
pub struct WarmUp {
    pub period_ns: u64,
    pub from: f64,
}

impl WarmUp {
    /// Nanoseconds from `now` until `n` of the burst are in force. `None`: it has no more than that.
    pub(super) fn opens_in(&self, now: u64, burst: u32, n: u32) -> Option<u64> {
        let open = |ns: u64| self.burst(ns, burst) >= n;
        let (mut shut, mut most) = (now, self.period_ns.max(now));
        if n > burst {
            return None;
        }
        while most - shut > 1 {
            let middle = shut.midpoint(most);
            if open(middle) { most = middle } else { shut = middle }
        }
        Some(if open(shut) { 0 } else { most - now })
    }

    /// The burst in force `now` nanoseconds after the start.
    pub(super) fn burst(&self, now: u64, burst: u32) -> u32 {
        if now >= self.period_ns {
            return burst;
        }
        let factor = self.from + (1.0 - self.from) * (now as f64 / self.period_ns as f64);
        ((f64::from(burst) * factor) as u32).max(1)
    }
}

/// What a limiter is made with.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the types say it")]
pub struct Settings {
    pub algorithm: Algorithm,
    pub quota: Quota,
    pub fastest: Option<Quota>,
    pub block: Option<Block>,
    pub warm_up: Option<WarmUp>,
    pub mode: Mode,
}

impl Settings {
    /// An enforced limit with nothing else.
    pub fn new(algorithm: Algorithm, quota: Quota) -> Self {
        Self { algorithm, quota, fastest: None, block: None, warm_up: None, mode: Mode::Enforce }
    }
}
