//! Backoff and retry policy, in plain fractions.

/// How waits are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub enum Jitter {
    None,
    Full,
    Equal,
    Decorrelated,
    Smooth,
}

/// The settings, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub struct Settings {
    pub attempts: u64,
    pub base: u64,
    pub factor: f64,
    pub max_delay: u64,
    pub jitter: Jitter,
    pub deadline: Option<u64>,
    pub max_retry_after: u64,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub enum Next {
    Wait(u64),
    Exhausted,
    PastDeadline,
}

/// One call's retries.
#[derive(Clone, Debug)]
pub struct Retry {
    settings: Settings,
    /// Every wait that was asked for, with its number and draw, as it came.
    past: Vec<(u64, f64, u64)>,
}

impl Retry {
    /// A call that has not been made yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, past: Vec::new() }
    }

    /// Multiplied step by step, until it does not matter any more.
    fn without_jitter(&self, n: u64) -> f64 {
        let (most, mut wait) = (self.settings.max_delay as f64, self.settings.base as f64);
        for _ in 0..n.min(100_000) {
            if wait >= most || self.settings.factor == 1.0 || wait == 0.0 {
                break;
            }
            wait *= self.settings.factor;
        }
        wait.min(most)
    }

    /// Polly's curve.
    fn curve(n: u64, draw: f64) -> f64 {
        let t = n as f64 + draw;
        if t > 1_023.0 { f64::INFINITY } else { 2_f64.powf(t) * (2.0 * t.sqrt()).tanh() }
    }

    /// The wait before retry `n`.
    pub fn delay(&mut self, n: u64, draw: f64) -> u64 {
        let Settings { base, max_delay, jitter, .. } = self.settings;
        let (base, most, d) = (base as f64, max_delay as f64, self.without_jitter(n));
        let last = self.past.last().copied();
        let wait = match jitter {
            Jitter::None => d,
            Jitter::Full => d * draw,
            Jitter::Equal => d / 2.0 + d / 2.0 * draw,
            Jitter::Decorrelated => {
                let before = last.map_or(base, |(_, _, wait)| (wait as f64).max(base));
                (base + draw * (3.0 * before - base)).min(most)
            }
            Jitter::Smooth if base == 0.0 => 0.0,
            Jitter::Smooth => match (Self::curve(n, draw), last.map_or(0.0, |(n, draw, _)| Self::curve(n, draw))) {
                (now, _) if now.is_infinite() => most,
                (_, before) if before.is_infinite() => 0.0,
                (now, before) => ((now - before) / 1.4 * base).clamp(0.0, most),
            },
        } as u64;
        self.past.push((n, draw, wait));
        wait
    }

    /// What follows attempt number `attempts`.
    pub fn failed(&mut self, attempts: u64, draw: f64, retry_after: Option<u64>, elapsed: u64) -> Next {
        if attempts >= self.settings.attempts {
            return Next::Exhausted;
        }
        let told = retry_after.unwrap_or(0).min(self.settings.max_retry_after);
        let wait = self.delay(attempts.saturating_sub(1), draw).max(told);
        if self.settings.deadline.is_some_and(|end| u128::from(elapsed) + u128::from(wait) >= u128::from(end)) {
            return Next::PastDeadline;
        }
        Next::Wait(wait)
    }
}
