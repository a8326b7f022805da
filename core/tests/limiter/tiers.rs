//! Quotas in any order on one key: none of it mints, and none of it keeps a key from coming back.
//!
//! The bound: of an admission of `n` by a quota of burst `b`, `n / b` is its part. Within a stretch of readings that
//! moves forward by `t` in all, the parts come to at most 1 + t / F, `F` being the shortest time in which a quota of
//! the key fills. So at one moment no more is admitted than the largest burst, and over time no more than the largest
//! burst per `F`. Windows: the largest limit in each window of the shortest period that the stretch touches.

use super::{MS, S};
use std::time::Duration;
use tidegate::limit::{Algorithm, LimiterConfig, Mode, RateLimiter, Tier};
use tidegate::{LimitSet, ManualClock, Quota};

const KEY: &[u8] = b"ann";
const START: u64 = 1_000_000 * S;

fn quota(count: u64, period_ns: u64, burst: u32) -> Quota {
    let quota = Quota::new(count, Duration::from_nanos(period_ns)).expect("a rate");
    quota.with_burst(burst.into()).expect("a burst")
}

fn is_bucket(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::TokenBucket | Algorithm::LeakyBucket)
}

/// Made for all of these, the first by default.
fn limiter(algorithm: Algorithm, quotas: &[Quota], clock: &ManualClock) -> RateLimiter {
    made(algorithm, quotas, clock).expect("quotas that one limiter can hold")
}

fn made(algorithm: Algorithm, quotas: &[Quota], clock: &ManualClock) -> Option<RateLimiter> {
    sized(algorithm, quotas, clock, 50)
}

fn sized(algorithm: Algorithm, quotas: &[Quota], clock: &ManualClock, max_keys: usize) -> Option<RateLimiter> {
    let slowest =
        *quotas.iter().max_by_key(|quota| if is_bucket(algorithm) { quota.fill_time() } else { quota.period() })?;
    let rate = |quota: &&Quota| quota.period().as_nanos() / u128::from(quota.count());
    let (fastest, largest) = (*quotas.iter().min_by_key(rate)?, quotas.iter().map(Quota::burst).max()?);
    let fastest =
        if is_bucket(algorithm) { fastest } else { quota(largest.into(), slowest.period().as_nanos() as u64, largest) };
    let config = LimiterConfig {
        max_keys,
        mode: Mode::Enforce,
        fastest: Some(fastest),
        ..LimiterConfig::new(algorithm, slowest)
    };
    let limiter = RateLimiter::with_config(config, clock.into()).ok()?;
    let fit = quotas.iter().all(|&quota| limiter.tier(quota).is_ok());
    limiter.set_quota(quotas[0]).ok().filter(|()| fit)?;
    Some(limiter)
}

fn tiers(limiter: &RateLimiter, quotas: &[Quota]) -> Vec<Tier> {
    quotas.iter().map(|&quota| limiter.tier(quota).expect("a tier")).collect()
}

/// Up to seven that one limiter can hold, some alike in burst or in rate.
fn some_quotas(algorithm: Algorithm, rng: &mut fastrand::Rng) -> Vec<Quota> {
    let (period, burst) = (rng.choice([MS, S, 60 * S]).expect("one"), 1 + rng.u32(..60));
    let one = |rng: &mut fastrand::Rng| {
        let burst = if rng.bool() { burst } else { 1 + rng.u32(..100) };
        match algorithm {
            Algorithm::SlidingWindow | Algorithm::SlidingLog => quota(burst.into(), period, burst),
            Algorithm::FixedWindow => quota(burst.into(), period * (1 + rng.u64(..5)), burst),
            _ => quota(1 + rng.u64(..100), period * (1 + rng.u64(..40)), burst),
        }
    };
    let some = |rng: &mut fastrand::Rng| (0..rng.usize(2..=7)).map(|_| one(rng)).collect::<Vec<_>>();
    let clock = ManualClock::new(START);
    std::iter::repeat_with(|| some(rng)).find(|quotas| made(algorithm, quotas, &clock).is_some()).expect("some fit")
}

/// How a clock goes on.
#[derive(Clone, Copy, Debug)]
enum Going {
    Stands,
    Forward,
    /// And back, by itself.
    Both,
    /// Forward, while threads are late.
    Late,
}

/// What was admitted: the forward way until then in nanoseconds, how many, and as a part of the burst.
type Admitted = (u64, u32, f64);

fn play(algorithm: Algorithm, quotas: &[Quota], going: Going, rng: &mut fastrand::Rng) -> Vec<Admitted> {
    let clock = ManualClock::new(START);
    let (limiter, unit) = (limiter(algorithm, quotas, &clock), unit(algorithm, quotas));
    let (tiers, mut default) = (tiers(&limiter, quotas), 0);
    let (mut now, mut latest, mut way, mut admitted) = (START, START, 0, Vec::new());
    for _ in 0..150 {
        let before = now;
        now = match (going, rng.u8(..8)) {
            (Going::Stands, _) | (_, 0..3) => now,
            (Going::Both | Going::Late, 3) => now.saturating_sub(rng.u64(..2 * unit)).max(START),
            (Going::Late, 4) => latest,
            _ => now + rng.u64(..unit / 3),
        };
        latest = latest.max(now);
        way += now.saturating_sub(before);
        clock.set(if matches!(going, Going::Late) { latest } else { now });
        let which = rng.usize(..tiers.len());
        let n = if rng.bool() { 1 } else { 1 + rng.u32(..quotas[which].burst()) };
        let (yes, by) = match rng.u8(..16) {
            0 => {
                limiter.set_quota(quotas[which]).expect("it fits");
                default = which;
                (false, which)
            }
            1 => {
                let _ = limiter.peek_at(now, KEY, Some(&tiers[which]));
                (false, which)
            }
            2..6 => (limiter.check_at(now, KEY, n).allowed, default),
            6..9 => (limiter.try_acquire_tier_at(now, KEY, n, &tiers[which]), which),
            _ => (limiter.check_tier_at(now, KEY, n, &tiers[which]).allowed, which),
        };
        if yes {
            admitted.push((way, n, f64::from(n) / f64::from(quotas[by].burst())));
        }
    }
    admitted
}

/// The shortest time in which a quota of these comes back.
fn unit(algorithm: Algorithm, quotas: &[Quota]) -> u64 {
    let times = quotas.iter().map(|quota| if is_bucket(algorithm) { quota.fill_time() } else { quota.period() });
    times.min().expect("a quota").as_nanos() as u64
}

fn within_bounds(algorithm: Algorithm, quotas: &[Quota], admitted: &[Admitted], what: &str) {
    let unit = unit(algorithm, quotas);
    let largest = u64::from(quotas.iter().map(Quota::burst).max().expect("a quota"));
    for (at, &(from, ..)) in admitted.iter().enumerate() {
        let (mut count, mut parts) = (0, 0.0);
        for &(to, n, part) in &admitted[at..] {
            (count, parts) = (count + u64::from(n), parts + part);
            let way = to - from;
            let most = match algorithm {
                _ if way == 0 => largest,
                // A tick begins up to one before its reading: that is far less than a thousandth of a token.
                Algorithm::TokenBucket | Algorithm::LeakyBucket => {
                    let tokens = u128::from(largest) * u128::from(unit + way) + u128::from(unit / 1_000);
                    (tokens / u128::from(unit)) as u64
                }
                _ => largest * (1 + way.div_ceil(unit)),
            };
            assert!(count <= most, "{what}: {count} of {most} in {way} ns by {quotas:?}");
            let whole = 1.0 + way as f64 / unit as f64 + if way == 0 { 1e-9 } else { 0.01 };
            assert!(!is_bucket(algorithm) || parts <= whole, "{what}: {parts} of {whole} in {way} ns by {quotas:?}");
        }
    }
}

#[test]
fn no_order_of_quotas_admits_more_than_the_bound() {
    let mut rng = fastrand::Rng::with_seed(0x7469_6572);
    let mut moments = 0;
    for algorithm in Algorithm::ALL {
        for going in [Going::Stands, Going::Forward, Going::Both, Going::Late] {
            for round in 0..60 {
                let quotas = some_quotas(algorithm, &mut rng);
                let admitted = play(algorithm, &quotas, going, &mut rng);
                within_bounds(algorithm, &quotas, &admitted, &format!("{algorithm}, {going:?}, round {round}"));
                moments += admitted.len();
            }
        }
    }
    assert!(moments > 10_000, "{moments}");
}

/// Five a minute and sixty a second, by turns until both deny, at one moment: 4,001 once.
#[test]
fn two_quotas_by_turns_are_one_limit() {
    let quotas = [quota(5, 60 * S, 5), quota(60, S, 60)];
    for algorithm in [Algorithm::TokenBucket, Algorithm::LeakyBucket, Algorithm::FixedWindow] {
        let clock = ManualClock::new(START);
        let (by_tier, by_default) = (limiter(algorithm, &quotas, &clock), limiter(algorithm, &quotas, &clock));
        let tier = by_tier.tier(quotas[1]).expect("a tier");
        let (mut tiers, mut defaults) = (0, 0);
        for _ in 0..100 {
            tiers += (0..10).filter(|_| by_tier.check(KEY, 1).allowed).count();
            tiers += usize::from(by_tier.check_tier(KEY, 1, &tier).allowed);
            defaults += (0..10).filter(|_| by_default.check(KEY, 1).allowed).count();
            by_default.set_quota(quotas[1]).expect("it fits");
            defaults += usize::from(by_default.check(KEY, 1).allowed);
            by_default.set_quota(quotas[0]).expect("it fits");
        }
        assert!((5..=60).contains(&tiers) && (5..=60).contains(&defaults), "{algorithm}: {tiers}, {defaults}");
        assert!(!by_tier.check(KEY, 1).allowed && !by_default.check(KEY, 1).allowed, "{algorithm}");
    }
}

/// The part that is used is that of the present, not of a late thread's reading, from which it would have come back
/// since.
#[test]
fn a_late_thread_changes_the_quota_as_of_the_present() {
    let quotas = [quota(5, 60 * S, 5), quota(60, S, 60)];
    let clock = ManualClock::new(START);
    let limiter = limiter(Algorithm::TokenBucket, &quotas, &clock);
    let tiers = tiers(&limiter, &quotas);
    clock.set(START + 90 * S);
    assert!(limiter.check_tier(KEY, 4, &tiers[0]).allowed);
    assert!(!limiter.check_tier_at(START + 90 * S - S / 2, KEY, 60, &tiers[1]).allowed);
    assert_eq!(limiter.peek(KEY, Some(&tiers[1])).remaining, 12);
}

/// A clock that goes back to before a key was charged finds all of it used, and no more than all of it.
#[test]
fn a_clock_that_goes_back_finds_no_more_than_all_used() {
    let quotas = [quota(5, 60 * S, 5), quota(60, S, 60)];
    for (first, second) in [(0, 1), (1, 0)] {
        let clock = ManualClock::new(START);
        let limiter = limiter(Algorithm::TokenBucket, &quotas, &clock);
        let tiers = tiers(&limiter, &quotas);
        clock.set(START + 90 * S);
        assert!(limiter.check_tier(KEY, quotas[first].burst(), &tiers[first]).allowed);
        clock.set(START + 80 * S);
        assert!(!limiter.check_tier(KEY, 1, &tiers[second]).allowed);
        limiter.refund(KEY, 1, Some(&tiers[second]));
        clock.set(START + 90 * S);
        assert_eq!(limiter.peek(KEY, Some(&tiers[second])).remaining, 1, "{first} to {second}");
        clock.advance(Duration::from_secs(60));
        assert!(limiter.check_tier(KEY, quotas[second].burst(), &tiers[second]).allowed, "{first} to {second}");
    }
}

/// A peek by any quota tells what a check by it then finds.
#[test]
fn a_peek_by_another_quota_shows_the_converted_level() {
    let quotas = [quota(60, 60 * S, 60), quota(100, S, 100)];
    for (first, second, left) in [(0, 1, 50), (1, 0, 30)] {
        let limiter = limiter(Algorithm::TokenBucket, &quotas, &ManualClock::new(START));
        let tiers = tiers(&limiter, &quotas);
        assert!(limiter.check_tier(KEY, quotas[first].burst() / 2, &tiers[first]).allowed);
        assert_eq!(limiter.peek(KEY, Some(&tiers[second])).remaining, left);
        assert!(!limiter.check_tier(KEY, left + 1, &tiers[second]).allowed);
        assert!(limiter.check_tier(KEY, left, &tiers[second]).allowed);
        assert!(!limiter.check_tier(KEY, 1, &tiers[first]).allowed);
    }
}

/// Denied calls by turns, many in each tick: what is rounded up must not outrun what comes back.
#[test]
fn denied_calls_by_turns_keep_no_key_from_coming_back() {
    // A tick is 65 µs.
    let quotas = [quota(1, S, 300_000), quota(1, 2 * S, 120_000)];
    let clock = ManualClock::new(START);
    let limiter = limiter(Algorithm::TokenBucket, &quotas, &clock);
    let tiers = tiers(&limiter, &quotas);
    assert!(limiter.check_tier(KEY, 300_000, &tiers[0]).allowed);
    let mut parts = 0.0;
    for step in 1..=140_000_u64 {
        clock.set(START + step * 30_000);
        let which = (step % 2) as usize;
        if limiter.try_acquire_tier(KEY, 1, &tiers[which]) {
            parts += 1.0 / f64::from(quotas[which].burst());
        }
    }
    // 4.2 seconds, of 300,000 and 240,000 that it takes to fill.
    assert!((1.0e-5..1.8e-5).contains(&parts), "{parts}");
}

/// Admissions by turns: each is rounded up by a tick at most, which is less than a ten-thousandth of a token.
#[test]
fn admissions_by_turns_come_as_fast_as_by_the_slower_quota() {
    let mut rng = fastrand::Rng::with_seed(0x7475_726e);
    for round in 0..40 {
        let quotas = some_quotas(Algorithm::TokenBucket, &mut rng);
        let clock = ManualClock::new(START);
        let limiter = limiter(Algorithm::TokenBucket, &quotas, &clock);
        let tiers = tiers(&limiter, &quotas);
        let longest = quotas.iter().map(Quota::fill_time).max().expect("a quota").as_nanos() as u64;
        let (mut parts, steps) = (0.0, 2_000);
        for step in 0..steps {
            clock.set(START + longest * step / 400);
            let which = rng.usize(..tiers.len());
            // What one of them is denied for its dear tokens, another gets.
            for which in (0..tiers.len()).map(|next| (which + next) % tiers.len()) {
                while limiter.try_acquire_tier(KEY, 1, &tiers[which]) {
                    parts += 1.0 / f64::from(quotas[which].burst());
                }
            }
        }
        let least = steps as f64 / 400.0 * 0.99 - 0.01;
        assert!(parts >= least, "round {round}: {parts} of {least} by {quotas:?}");
    }
}

/// Whatever was asked, a key that rests for the longest time to fill is as new.
#[test]
fn a_key_that_rests_comes_back_whole() {
    let mut rng = fastrand::Rng::with_seed(0x7265_7374);
    for algorithm in Algorithm::ALL {
        for _ in 0..40 {
            let quotas = some_quotas(algorithm, &mut rng);
            let clock = ManualClock::new(START);
            let limiter = limiter(algorithm, &quotas, &clock);
            let tiers = tiers(&limiter, &quotas);
            for _ in 0..100 {
                let which = rng.usize(..tiers.len());
                let _ = limiter.check_tier(KEY, 1 + rng.u32(..quotas[which].burst()), &tiers[which]);
            }
            let longest = quotas.iter().map(|quota| quota.fill_time().max(2 * quota.period())).max().expect("a quota");
            clock.advance(longest + longest / 1_000);
            let which = rng.usize(..tiers.len());
            assert!(limiter.check_tier(KEY, quotas[which].burst(), &tiers[which]).allowed, "{algorithm} {quotas:?}");
        }
    }
}

/// A time that was told to one is told to no other, whichever quota asks.
#[test]
fn a_queue_tells_no_place_twice() {
    let mut rng = fastrand::Rng::with_seed(0x7175_6575);
    for round in 0..100 {
        let quotas = some_quotas(Algorithm::LeakyBucket, &mut rng);
        let clock = ManualClock::new(START);
        let limiter = limiter(Algorithm::LeakyBucket, &quotas, &clock);
        let tiers = tiers(&limiter, &quotas);
        let mut free_at = 0;
        for _ in 0..150 {
            clock.advance(Duration::from_nanos(rng.u64(..unit(Algorithm::LeakyBucket, &quotas) / 4)));
            let which = rng.usize(..tiers.len());
            let told = limiter.check_tier(KEY, 1, &tiers[which]);
            if told.allowed {
                let place = clock.now() + told.delay_ns;
                assert!(place >= free_at, "round {round}: {place} before {free_at} by {quotas:?}");
                let (count, period) = (quotas[which].count(), quotas[which].period().as_nanos() as u64);
                // As of the tick, less than a ten-thousandth of a token, that the call came in.
                free_at = place + period / count - period / count / 10_000 - 2;
            }
        }
    }
}

/// More times to fill than states can tell apart: a quota beyond has a smaller burst, of a time that is known.
#[test]
fn more_than_seven_quotas_mint_nothing_either() {
    let mut rng = fastrand::Rng::with_seed(0x7365_7665);
    for round in 0..60 {
        let clock = ManualClock::new(START);
        let first = quota(10, S, 10);
        let limiter = limiter(Algorithm::TokenBucket, &[first, quota(100, S, 100)], &clock);
        let mut tiers = Vec::new();
        for _ in 0..30 {
            let wanted = quota(1 + rng.u64(..100), S, 1 + rng.u32(..100));
            match limiter.tier(wanted) {
                Ok(tier) => {
                    assert!(tier.quota().burst() <= wanted.burst() && tier.quota().count() == wanted.count());
                    tiers.push((tier, wanted));
                }
                Err(error) => {
                    // Nobody wrote a burst that is the count of the rate.
                    let plain = u64::from(wanted.burst()) == wanted.count();
                    assert_eq!(error.field(), if plain { "rate" } else { "burst" }, "{error}");
                }
            }
        }
        assert!(tiers.len() > 7, "round {round}");
        let largest = tiers.iter().map(|(_, wanted)| wanted.burst()).max().expect("a tier");
        let mut admitted = 0;
        for _ in 0..400 {
            let (tier, wanted) = rng.choice(&tiers).expect("a tier");
            let n = if rng.bool() { 1 } else { 1 + rng.u32(..wanted.burst()) };
            admitted += if limiter.check_tier(KEY, n, tier).allowed { n } else { 0 };
        }
        assert!(admitted <= largest.max(10), "round {round}: {admitted} of {largest}");
        // A new default is held to the same.
        let limit = limiter.set_quota(quota(7, S, 90)).map(|()| limiter.quota());
        assert!(limit.is_ok_and(|limit| limit.burst() <= 90 && limit.count() == 7));
        assert_eq!(limiter.peek(b"ben", None).limit, limiter.quota().burst());
    }
}

/// What is counted by the time of another that takes a little longer: less than a token more, and once.
#[test]
fn an_eighth_quota_by_turns_gets_less_than_a_token_more() {
    let mut rng = fastrand::Rng::with_seed(0x6E65_6172);
    let mut most = 0.0_f64;
    for _ in 0..400 {
        let clock = ManualClock::new(START);
        let burst = 1 + rng.u32(..30);
        let near = |rng: &mut fastrand::Rng| quota(burst.into(), 10 * S + rng.u64(..10 * S / u64::from(burst)), burst);
        let quotas: Vec<_> = (0..12).map(|_| near(&mut rng)).collect();
        let limiter = limiter(Algorithm::TokenBucket, &quotas[..7], &clock);
        let tiers: Vec<_> = quotas.iter().filter_map(|&quota| limiter.tier(quota).ok()).collect();
        let unit = tiers.iter().map(|tier| tier.quota().fill_time()).min().expect("a tier").as_nanos() as u64;
        let (mut now, mut admitted) = (START, Vec::new());
        for _ in 0..120 {
            now += if rng.bool() { rng.u64(..unit / 3) } else { 0 };
            let tier = rng.choice(&tiers).expect("a tier");
            let n = 1 + rng.u32(..tier.quota().burst());
            if limiter.check_tier_at(now, KEY, n, tier).allowed {
                admitted.push((now, n));
            }
        }
        for (at, &(from, _)) in admitted.iter().enumerate() {
            let mut count = 0;
            for &(to, n) in &admitted[at..] {
                count += n;
                let bound = f64::from(burst) * (1.0 + (to - from) as f64 / unit as f64);
                most = most.max(f64::from(count) - bound);
            }
        }
    }
    assert!(most > 0.0 && most < 1.0, "{most} tokens more");
}

/// A member of a set that is asked by a faster default: its denials count as any, so that waiting as told is enough.
#[test]
fn a_set_waits_no_longer_than_its_members_tell() {
    let quotas = [quota(1, 3_600 * S, 1), quota(10, S, 10)];
    let clock = ManualClock::new(START);
    let limiter = std::sync::Arc::new(limiter(Algorithm::TokenBucket, &quotas, &clock));
    let set = LimitSet::new([("it", limiter.clone().into())]).expect("a set");
    assert!(set.check(&[KEY], 1).is_ok_and(|verdict| verdict.decision.allowed));
    limiter.set_quota(quotas[1]).expect("it fits");
    let denied = set.check(&[KEY], 1).expect("its key").decision;
    assert!(!denied.allowed && denied.retry_after_ns <= S / 9, "{denied:?}");
    clock.advance(Duration::from_nanos(denied.retry_after_ns));
    assert!(set.check(&[KEY], 1).is_ok_and(|verdict| verdict.decision.allowed));
}

/// Keys that find no room share words with keys of other quotas, and come to cells from there: with the later time, in
/// the measure in which most of it is used.
#[test]
fn who_shares_with_other_quotas_never_gets_more() {
    let mut rng = fastrand::Rng::with_seed(0x7368_6172);
    for algorithm in [Algorithm::TokenBucket, Algorithm::LeakyBucket, Algorithm::FixedWindow] {
        for round in 0..20 {
            let quotas = some_quotas(algorithm, &mut rng);
            let clock = ManualClock::new(START);
            let limiter = sized(algorithm, &quotas, &clock, 1).expect("quotas that fit");
            let (tiers, unit) = (tiers(&limiter, &quotas), unit(algorithm, &quotas));
            let mut admitted = vec![Vec::new(); 24];
            let (mut now, mut shared) = (START, 0);
            for _ in 0..2_000 {
                if rng.u8(..10) == 0 {
                    now += rng.u64(..unit / 4);
                    clock.set(now);
                }
                let (key, which) = (rng.usize(..admitted.len()), rng.usize(..tiers.len()));
                let n = if rng.bool() { 1 } else { 1 + rng.u32(..quotas[which].burst()) };
                if limiter.check_tier(&key.to_le_bytes(), n, &tiers[which]).allowed {
                    admitted[key].push((now, n, f64::from(n) / f64::from(quotas[which].burst())));
                } else {
                    shared += 1;
                }
            }
            assert!(shared > 100 && limiter.stats().overflowed > 100, "{algorithm} {round}: {:?}", limiter.stats());
            for of_key in &admitted {
                within_bounds(algorithm, &quotas, of_key, &format!("{algorithm}, sharing, round {round}"));
            }
        }
    }
}
