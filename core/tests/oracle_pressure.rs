//! Limits per key in a table that is far too small, against a model that forgets nobody: keys are evicted, share and
//! come back, and whoever is admitted would have been by a limiter of its own.

use proptest::prelude::*;
use std::collections::HashMap;
use std::time::Duration;
use tidegate::limit::{Algorithm, LimiterConfig, Mode, RateLimiter};
use tidegate::{Clock, ManualClock, Quota};
use tidegate_model::keyed::{self, Limiter as Model, Settings};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

#[derive(Clone, Copy, Debug)]
enum Plan {
    Take(u32),
    Refund(u32),
    Penalize(u64),
    Reset,
}

fn plan() -> impl Strategy<Value = Plan> {
    prop_oneof![
        30 => (1..4_u32).prop_map(Plan::Take),
        2 => (1..3_u32).prop_map(Plan::Refund),
        1 => (1..2_000_u64).prop_map(Plan::Penalize),
        1 => Just(Plan::Reset),
    ]
}

/// Thousandths of a period to go on; now and then hundreds of periods.
fn pause() -> impl Strategy<Value = u64> {
    prop_oneof![6 => Just(0), 8 => 0..300_u64, 2 => 0..3_000_u64, 1 => 0..2_000_000_u64]
}

fn core(algorithm: Algorithm, limit: u32, period: u64, max_keys: usize) -> RateLimiter {
    let quota = Quota::new(limit.into(), Duration::from_nanos(period)).expect("a sound quota");
    let config = LimiterConfig { max_keys, mode: Mode::Enforce, ..LimiterConfig::new(algorithm, quota) };
    RateLimiter::with_config(config, Clock::from(ManualClock::new(0))).expect("a limiter")
}

fn model(algorithm: Algorithm, limit: u32, period_ns: u64) -> Model {
    let algorithm = match algorithm {
        Algorithm::TokenBucket => keyed::Algorithm::TokenBucket,
        Algorithm::LeakyBucket => keyed::Algorithm::LeakyBucket,
        Algorithm::SlidingWindow => keyed::Algorithm::SlidingWindow,
        _ => keyed::Algorithm::SlidingLog,
    };
    let quota = keyed::Quota { count: limit.into(), period_ns, burst: limit };
    Model::new(Settings::new(algorithm, quota), 0).expect("a quota that fits")
}

/// Who asks: anybody for some, one key for all there is, or seven keys for one each, a line's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Any,
    Drain,
    Flood,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![4 => Just(Turn::Any), 3 => Just(Turn::Drain), 2 => Just(Turn::Flood)]
}

/// As [`pause`], more of it about the ends of windows.
fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(0), 4 => 0..100_u64, 4 => 850..1_100_u64, 2 => 0..3_000_u64, 1 => 0..200_000_u64]
}

/// Whether the uses fall into windows of at least a period, each of which begins with one of them and holds no more
/// than the limit.
fn windows_exist(uses: &[(u64, u32)], period: u64, limit: u32) -> bool {
    let mut from = vec![false; uses.len() + 1];
    from[uses.len()] = true;
    for (first, &(begin, _)) in uses.iter().enumerate().rev() {
        let mut sum = 0;
        for (next, &(_, n)) in uses.iter().enumerate().skip(first) {
            sum += n;
            if sum > limit {
                break;
            }
            let over = uses.get(next + 1).is_none_or(|&(at, _)| at >= begin + period);
            from[first] |= over && from[next + 1];
        }
    }
    from[0]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Only what the table admits is charged to the model; then the model never denies what the table admits.
    #[test]
    fn nobody_gets_more_than_alone(
        algorithm in prop::sample::select(
            vec![Algorithm::TokenBucket, Algorithm::LeakyBucket, Algorithm::SlidingWindow, Algorithm::SlidingLog]
        ),
        (limit, period) in (1..12_u32, prop::sample::select(vec![10_007, 3 * MS, S, 60 * S])),
        (max_keys, keys) in (1..5_usize, 8..60_u8),
        steps in prop::collection::vec((pause(), plan(), any::<u8>()), 1..400),
    ) {
        let (core, mut model) = (core(algorithm, limit, period, max_keys), model(algorithm, limit, period));
        let mut now = 0;
        for (pause, plan, key) in steps {
            now += (u128::from(pause) * u128::from(period) / 1_000) as u64;
            let key = [key % keys];
            match plan {
                Plan::Take(n) => {
                    let alone = model.look(now, &key, n, None);
                    let seen = core.check_at(now, &key, n);
                    prop_assert!(alone.allowed || !seen.allowed, "{key:?} at {now}: {seen:?}, alone {alone:?}");
                    if seen.allowed {
                        prop_assert!(seen.delay_ns >= alone.delay_ns, "{key:?} at {now}: {seen:?}, alone {alone:?}");
                        prop_assert!(model.check(now, &key, n, None).allowed);
                    }
                }
                Plan::Refund(n) => {
                    // Who shares gets nothing back, so the model may be ahead; never the table.
                    core.refund_at(now, &key, n, None);
                    model.refund(now, &key, n, None);
                }
                Plan::Penalize(ms) => {
                    if core.penalize_at(now, &key, Duration::from_millis(ms)) {
                        model.penalize(now, &key, ms * MS);
                    }
                }
                Plan::Reset => {
                    core.reset_at(now, &key);
                    model.reset(&key);
                }
            }
        }
    }

    /// What a key is admitted falls into windows of a period or longer that begin with an admission of it, whoever it
    /// shared one with: no window holds more than the limit, so that a period holds twice that at most.
    #[test]
    fn fixed_windows_hold_their_limit(
        (limit, period) in (1..12_u32, prop::sample::select(vec![10_007, 3 * MS, S])),
        (max_keys, keys) in (1..5_usize, 8..60_u8),
        favourite in 0..8_u8,
        steps in prop::collection::vec((edge(), 1..4_u32, any::<u8>(), turn()), 1..400),
    ) {
        let core = core(Algorithm::FixedWindow, limit, period, max_keys);
        let (mut now, mut uses) = (0, HashMap::<u8, Vec<(u64, u32)>>::new());
        for (pause, n, key, turn) in steps {
            now += (u128::from(pause) * u128::from(period) / 1_000) as u64;
            let (key, n, times) = match turn {
                Turn::Any => (key % keys, n, 1),
                Turn::Drain => (favourite, 1, limit + 1),
                Turn::Flood => (key % keys, 1, 7),
            };
            for time in 0..times as u8 {
                let key = if turn == Turn::Flood { (key + time) % keys } else { key };
                if core.try_acquire_at(now, &[key], n) {
                    uses.entry(key).or_default().push((now, n));
                }
            }
        }
        for (key, uses) in uses {
            prop_assert!(windows_exist(&uses, period, limit), "{key}, {limit} in {period}: {uses:?}");
            for (first, &(from, _)) in uses.iter().enumerate() {
                let within: u32 = uses[first..].iter().take_while(|(at, _)| at - from < period).map(|(_, n)| n).sum();
                prop_assert!(within <= 2 * limit, "{key} from {from}: {within} of {limit}");
            }
        }
    }

    /// By the clock's own readings, however it jumps: never more than burst + rate x time, to a tick. (A minute back is
    /// where a state is taken for the reading of a broken clock.)
    #[test]
    fn a_clock_that_jumps_mints_nothing(
        (count, period) in prop::sample::select(vec![(5, S), (1_000, S), (7, 60 * S), (3, 1_000)]),
        (burst, max_keys) in (1..20_u64, 1..20_usize),
        steps in prop::collection::vec((-2_000..2_200_i64, 1..4_u32, 0..12_u8), 1..300),
    ) {
        let quota = Quota::new(count, Duration::from_nanos(period)).and_then(|quota| quota.with_burst(burst));
        let config = LimiterConfig {
            max_keys,
            mode: Mode::Enforce,
            ..LimiterConfig::new(Algorithm::TokenBucket, quota.expect("a sound quota"))
        };
        let core = RateLimiter::with_config(config, Clock::from(ManualClock::new(0))).expect("a limiter");
        let (mut now, mut latest, mut uses) = (1_000_000_u64, 0, HashMap::<u8, Vec<(u64, u32)>>::new());
        for (pause, n, key) in steps {
            now = now.saturating_add_signed(pause * (period / count) as i64 / 1_000).max(latest - latest.min(60 * S));
            latest = latest.max(now);
            if core.try_acquire_at(now, &[key], n) {
                uses.entry(key).or_default().push((now, n));
            }
        }
        for (key, mut uses) in uses {
            uses.sort_unstable();
            for (first, &(from, _)) in uses.iter().enumerate() {
                let mut sum = 0;
                for &(to, n) in &uses[first..] {
                    sum += u128::from(n);
                    // A tick, as of which is decided, is at most 2^-14 of a token's interval.
                    let time = u128::from(to - from + ((period / count) >> 14));
                    let refilled = time * u128::from(count) / u128::from(period);
                    prop_assert!(sum <= u128::from(burst) + refilled, "{key}: {sum} in {} ns", to - from);
                }
            }
        }
    }
}
