//! Fixed windows of keys that find no room: a window that is shared began with somebody else's hit.

use super::{MS, S, limiter};
use tidegate::limit::{Algorithm, RateLimiter};

const PERIOD: u64 = 60 * S;
/// A table for one has one line, of seven cells, and one word that all others share.
const CELLS: u8 = 7;
const C: &[u8] = b"C";

/// A limiter and what one key was admitted, one at a time.
struct Watched {
    limiter: RateLimiter,
    limit: u64,
    times: Vec<u64>,
}

impl Watched {
    fn new(limit: u64) -> Self {
        Self { limiter: limiter(Algorithm::FixedWindow, limit, PERIOD, limit, 1), limit, times: Vec::new() }
    }

    fn others(&self, at: u64, keys: std::ops::Range<u8>) {
        for key in keys {
            let _ = self.limiter.try_acquire_at(at, &[key], 1);
        }
    }

    /// Asks for one until it is denied; how many were admitted.
    fn drain(&mut self, at: u64) -> usize {
        let before = self.times.len();
        while self.limiter.try_acquire_at(at, C, 1) {
            self.times.push(at);
        }
        self.times.len() - before
    }

    fn most_in_a_period(&self) -> usize {
        let within = |&from: &u64| self.times.iter().filter(|&&at| (from..from + PERIOD).contains(&at)).count();
        self.times.iter().map(within).max().unwrap_or(0)
    }

    fn assert_sound(&self) {
        assert!(windows_exist(&self.times, PERIOD, self.limit as usize), "no windows for {:?}", runs(&self.times));
        assert!(self.most_in_a_period() <= 2 * self.limit as usize, "{:?}", runs(&self.times));
    }
}

/// Whether the times fall into windows of at least a period, each of which begins with one of them and holds no more
/// than the limit.
fn windows_exist(times: &[u64], period: u64, limit: usize) -> bool {
    let mut from = vec![false; times.len() + 1];
    from[times.len()] = true;
    for first in (0..times.len()).rev() {
        let most = times.len().min(first + limit);
        let ends = |&next: &usize| from[next] && times.get(next).is_none_or(|&at| at >= times[first] + period);
        from[first] = (first + 1..=most).any(|next| ends(&next));
    }
    from[0]
}

fn runs(times: &[u64]) -> Vec<(u64, usize)> {
    let mut runs: Vec<(u64, usize)> = Vec::new();
    for &at in times {
        match runs.last_mut() {
            Some((last, count)) if *last == at => *count += 1,
            _ => runs.push((at, 1)),
        }
    }
    runs
}

#[test]
fn the_rule_tells_windows_from_none() {
    assert!(windows_exist(&[0, 59, 60, 60], 60, 2));
    assert!(windows_exist(&[], 60, 2));
    assert!(!windows_exist(&[0, 59, 59], 60, 2));
    assert!(!windows_exist(&[0, 59, 60, 60, 61], 60, 2));
}

/// Own cell, shared window, cell, shared window, within seven seconds.
#[test]
fn a_key_that_moves_gets_no_third_limit() {
    let mut key = Watched::new(100);
    assert!(key.limiter.try_acquire_at(0, C, 1));
    key.times.push(0);
    key.others(4_900 * MS, 0..CELLS - 1);
    key.others(5 * S, 50..51);
    assert_eq!(key.drain(59 * S), 99);
    key.others(64 * S, 60..61);
    let _ = (key.drain(64_500 * MS), key.drain(65_200 * MS));
    key.assert_sound();
}

#[test]
fn a_shared_window_ends_a_period_after_its_last_admission() {
    let mut key = Watched::new(100);
    key.others(0, 0..CELLS);
    key.others(0, 50..51);
    key.others(59 * S, 0..CELLS);
    // The window that B opened ends at 60.
    assert!(key.drain(59 * S) > 90);
    key.others(60 * S, 0..CELLS);
    assert_eq!(key.drain(61 * S), 0);
    assert_eq!(key.drain(118 * S), 0);
    assert_eq!(key.drain(120 * S), 100, "nothing was admitted for a period");
    key.assert_sound();
}

/// Who takes its share of a word to a cell has a window of a period there, whenever the word's own ends.
#[test]
fn a_window_that_came_from_a_word_lasts_a_period() {
    let mut key = Watched::new(100);
    // C's own window ends at 60, the word's that D opens at 64, the line's at 63.
    assert!(key.limiter.try_acquire_at(0, C, 1));
    key.times.push(0);
    key.others(3 * S, 0..CELLS - 1);
    key.others(4 * S, 50..51);
    assert_eq!(key.drain(59_900 * MS), 99);
    // Another takes C's cell, and the six are over when C comes back to a cell and the word's window still runs.
    key.others(60_500 * MS, 60..61);
    let _ = (key.drain(63_500 * MS), key.drain(64_500 * MS), key.drain(65_500 * MS));
    key.assert_sound();
}

/// Seven cells, more keys than that, and all that matters happens about the ends of windows.
#[test]
fn windows_hold_their_limit_whoever_shares_them() {
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..1_500 {
        let mut key = Watched::new(2 + random(9));
        let mut now = 0;
        for _ in 0..60 {
            now += [0, 100 * MS, S, 4 * S, 54 * S, 59 * S, PERIOD, 61 * S][random(8) as usize];
            match random(4) {
                0 => {
                    key.drain(now);
                }
                1 => {
                    if key.limiter.try_acquire_at(now, C, 1) {
                        key.times.push(now);
                    }
                }
                2 => {
                    let first = random(10) as u8;
                    key.others(now, first..first + 1);
                }
                _ => {
                    let first = random(4) as u8;
                    key.others(now, first..first + CELLS);
                }
            }
        }
        key.assert_sound();
        assert!(key.times.len() > 10);
    }
}

/// Of who counts and judges by itself: the hits up to the limit last as long.
#[test]
fn hits_that_are_shared_count_for_a_period() {
    let mut key = Watched::new(100);
    key.others(0, 0..CELLS);
    key.others(0, 50..51);
    key.others(59 * S, 0..CELLS);
    let mut hit = |at: u64| {
        let hits = key.limiter.hit_at(at, C, 1).expect("a fixed window");
        if hits.count <= 100 {
            key.times.push(at);
        }
        hits
    };
    let first = hit(59 * S);
    assert!(first.reset_after_ns >= PERIOD, "{first:?}");
    for at in [59 * S, 61 * S] {
        for _ in 0..150 {
            let _ = hit(at);
        }
    }
    assert!(hit(120 * S + MS).count <= 2, "hits past the limit move nothing");
    key.assert_sound();
}
