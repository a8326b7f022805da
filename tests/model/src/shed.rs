//! Load shedder: pressure, and a threshold that moves by what was asked for.

use crate::concurrency::Mode;

/// The settings, times in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub struct Settings {
    /// Names, where the pressure begins and where it is full.
    pub signals: Vec<(String, f64, f64)>,
    pub rise: f64,
    pub fall: f64,
    pub min_admit: f64,
    pub critical_at: f64,
    pub critical_after: u64,
    pub cool_off: u64,
    pub interval: u64,
    pub mode: Mode,
}

/// Counts since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub struct Counts {
    pub admitted: u64,
    pub shed: [u64; 4],
    pub would_shed: u64,
}

/// Parts of a level.
const UNIT: u64 = 1024;
const LEVELS: u64 = 128;
const PLACES: u64 = 4 * LEVELS;
const TOP: u64 = PLACES * UNIT;
const CRITICAL: u64 = 3 * LEVELS * UNIT;
const MS: u64 = 1_000_000;
/// What a call counts.
const CALL: u64 = 16;

/// A shedder that one thread uses. Its signals are told.
#[derive(Clone, Debug)]
pub struct Shedder {
    settings: Settings,
    start: u64,
    /// For each signal the interval in which it was last told, and the largest of it.
    told: Vec<Option<(u64, f64)>>,
    /// Counts of levels, the first to be shed first.
    seen: Vec<u64>,
    threshold: u64,
    expires_ms: u64,
    next_us: u64,
    hot_until_ms: u64,
    critical_since_ms: Option<u64>,
    pressure: f64,
    leader: Option<usize>,
    share: f64,
    counts: Counts,
}

/// The place of a level in the order of shedding; priorities count from the last to be shed.
fn place(priority: u64, level: u64) -> u64 {
    (3 - priority) * LEVELS + LEVELS - 1 - level.min(LEVELS - 1)
}

/// `clamp((value - start) / (full - start), 0, 1)`.
pub fn pressure(value: f64, start: f64, full: f64) -> f64 {
    ((value - start) / (full - start)).clamp(0.0, 1.0)
}

impl Shedder {
    /// Nothing is known yet.
    pub fn new(settings: Settings, start: u64) -> Self {
        Self {
            told: vec![None; settings.signals.len()],
            settings,
            start,
            seen: vec![0; PLACES as usize],
            threshold: 0,
            expires_ms: 0,
            next_us: 0,
            hot_until_ms: 0,
            critical_since_ms: None,
            pressure: 0.0,
            leader: None,
            share: 0.0,
            counts: Counts::default(),
        }
    }

    fn since(&self, now: u64) -> u64 {
        now.saturating_sub(self.start)
    }

    fn lasts_ms(&self) -> u64 {
        8 * self.settings.interval / MS
    }

    /// Somebody has taken a step of late.
    fn is_live(&self, now: u64) -> bool {
        let now_ms = self.since(now) / MS;
        now_ms < self.expires_ms && self.expires_ms - now_ms <= 2 * self.lasts_ms()
    }

    fn in_force(&self, now: u64) -> u64 {
        if self.is_live(now) { self.threshold } else { 0 }
    }

    /// Whether a call may be served.
    pub fn admit(&mut self, now: u64, priority: u64, level: u64, draw: f64) -> bool {
        if self.settings.mode == Mode::Disabled {
            return true;
        }
        let place = place(priority, level);
        let above = self.in_force(now).saturating_sub(place * UNIT).min(UNIT);
        let shed = above as f64 / UNIT as f64 * (1.0 - self.settings.min_admit);
        let passes = shed == 0.0 || draw < 1.0 - shed;
        let is_dry = self.settings.mode == Mode::DryRun;
        let count = match (passes, is_dry) {
            (true, _) => &mut self.counts.admitted,
            (false, true) => &mut self.counts.would_shed,
            (false, false) => &mut self.counts.shed[priority as usize],
        };
        *count += 1;
        self.seen[place as usize] += CALL;
        self.sample(now);
        passes || is_dry
    }

    /// The step, if it is time.
    pub fn sample(&mut self, now: u64) {
        if self.settings.mode == Mode::Disabled {
            return;
        }
        let (now_us, each_us) = (self.since(now) / 1000, self.settings.interval / 1000);
        if now_us >= self.next_us || self.next_us > now_us + each_us + 1_000_000 {
            self.next_us = now_us + each_us;
            self.step(now);
        }
    }

    /// A signal is told its value.
    pub fn tell(&mut self, now: u64, signal: usize, value: f64) {
        let value = f64::from(value as f32);
        let interval = self.since(now) / self.settings.interval;
        let slot = &mut self.told[signal];
        match slot {
            Some((of, largest)) if *of == interval => *largest = largest.max(value),
            _ => *slot = Some((interval, value)),
        }
    }

    fn value(&self, now: u64, signal: usize) -> Option<f64> {
        let interval = self.since(now) / self.settings.interval;
        self.told[signal].filter(|(of, _)| of.abs_diff(interval) <= 1).map(|(_, value)| value)
    }

    /// Calls that pass, in parts of one.
    fn passing(&self, threshold: u64) -> u64 {
        let passes = |place: u64| UNIT - threshold.saturating_sub(place * UNIT).min(UNIT);
        self.seen.iter().zip(0..).map(|(count, place)| count * passes(place)).sum()
    }

    fn step(&mut self, now: u64) {
        let now_ms = self.since(now) / MS;
        let (mut largest, mut leader) = (0.0, None);
        for (at, (_, start, full)) in self.settings.signals.iter().enumerate() {
            if let Some(own) = self.value(now, at).map(|value| pressure(value, *start, *full))
                && own > largest
            {
                (largest, leader) = (own, Some(at));
            }
        }
        let is_critical = largest >= self.settings.critical_at;
        // The first millisecond passes for the second.
        let at_ms = now_ms.max(1);
        // Between two steps so much counts as a signal's value lasts; what is no longer in force begins anew.
        let unseen = self.is_live(now).then(|| {
            let stepped_ms = self.expires_ms.saturating_sub(self.lasts_ms());
            now_ms.saturating_sub(stepped_ms).saturating_sub(2 * self.settings.interval / MS)
        });
        let since = self.critical_since_ms.zip(unseen).map(|(since, unseen)| since + unseen);
        let since = since.filter(|since| *since <= at_ms).unwrap_or(at_ms);
        self.critical_since_ms = is_critical.then_some(since);
        let held = is_critical && at_ms - since >= self.settings.critical_after / MS;
        let most = if held { TOP } else { CRITICAL };

        let mut threshold = self.in_force(now);
        let mut passing = self.passing(threshold);
        let all = self.passing(0);
        // Of few calls not much is known.
        let few = all < 20 * CALL * UNIT;
        let stride = |part: f64| if few { (part * TOP as f64).ceil() as u64 } else { TOP };
        let part = |part: f64, whole: u64| (u128::from(whole) * (part * 1e6).round() as u128 / 1_000_000) as u64;
        if largest >= 1.0 {
            self.hot_until_ms = now_ms + self.settings.cool_off / MS;
            let target = passing - part(self.settings.rise, passing);
            let most = most.min(threshold + stride(self.settings.rise));
            while passing > target && threshold < most {
                passing -= self.seen[(threshold / UNIT) as usize];
                threshold += 1;
            }
        } else if largest <= 0.0 && self.cool_off_left(now_ms) == 0 {
            let least = threshold.saturating_sub(stride(self.settings.fall));
            let target = passing + part(self.settings.fall, all);
            while (passing < target || all == 0) && threshold > least {
                threshold -= 1;
                passing += self.seen[(threshold / UNIT) as usize];
            }
        }
        self.threshold = threshold.min(most);
        let share = match all {
            0 => self.threshold as f64 / TOP as f64,
            _ => 1.0 - self.passing(self.threshold) as f64 / all as f64,
        };
        self.share = ((share * 65_535.0).ceil() as u64 & 0xffff) as f64 / 65_535.0;
        self.seen.iter_mut().for_each(|count| *count /= 2);
        self.expires_ms = now_ms + self.lasts_ms();
        self.pressure = (largest * 1e6).floor() / 1e6;
        self.leader = leader;
    }

    fn cool_off_left(&self, now_ms: u64) -> u64 {
        let left = self.hot_until_ms.saturating_sub(now_ms);
        if left > self.settings.cool_off / MS { 0 } else { left }
    }

    /// The pressure, and the name of the signal with it.
    pub fn leader(&self, now: u64) -> (Option<&str>, f64) {
        if !self.is_live(now) {
            return (None, 0.0);
        }
        (self.leader.map(|at| self.settings.signals[at].0.as_str()), self.pressure)
    }

    /// Nanoseconds until a call like this passes if the pressure falls to 0 now.
    pub fn retry_after(&self, now: u64, priority: u64, level: u64) -> u64 {
        let (threshold, share) = (self.in_force(now), if self.is_live(now) { self.share } else { 0.0 });
        let above = threshold.saturating_sub(place(priority, level) * UNIT);
        let part = if threshold == 0 { 0.0 } else { share * above as f64 / threshold as f64 };
        let steps = ((part / self.settings.fall).ceil() as u64).max(1);
        let cool_off = self.cool_off_left(self.since(now) / MS) * MS;
        (steps * self.settings.interval + cool_off).min(60_000 * MS)
    }

    /// Counts.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}
