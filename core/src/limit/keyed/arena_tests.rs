//! Limiters that share an arena. That they decide as those of a process is shown by every property test and vector.

use super::*;
use crate::arena::ArenaErrorKind;
use crate::limit::{BucketConfig, LimitSet, Member};
use crate::{Arena, ManualClock, OnConflict, TokenBucket};
use std::sync::Arc;

const S: u64 = 1_000_000_000;

fn arena(clock: &ManualClock) -> Arc<Arena> {
    Arena::private("orders", 1 << 20, clock.into()).unwrap()
}

fn config(rate: &str) -> LimiterConfig {
    let quota = rate.parse().unwrap();
    LimiterConfig { max_keys: 100, mode: Mode::Enforce, ..LimiterConfig::new(Algorithm::TokenBucket, quota) }
}

fn open(arena: &Arc<Arena>, config: LimiterConfig, on_conflict: OnConflict) -> RateLimiter {
    RateLimiter::in_arena(arena, "users", config, on_conflict).unwrap()
}

fn refusal(arena: &Arc<Arena>, config: LimiterConfig, on_conflict: OnConflict) -> crate::arena::ArenaError {
    RateLimiter::in_arena(arena, "users", config, on_conflict).unwrap_err()
}

fn quota(rate: &str) -> Quota {
    rate.parse().unwrap()
}

#[test]
fn all_who_open_a_name_share_keys_and_counts() {
    let clock = ManualClock::new(S);
    let arena = arena(&clock);
    let [one, other] = [(); 2].map(|()| open(&arena, config("10/min"), OnConflict::Error));
    assert!(one.try_acquire(b"ada", 6) && other.try_acquire(b"ada", 4));
    assert!(!one.try_acquire(b"ada", 1) && !other.try_acquire(b"ada", 1));
    assert_eq!((one.stats(), one.len(), one.memory()), (other.stats(), other.len(), other.memory()));
    assert_eq!((one.stats().admitted, one.stats().denied, one.len()), (2, 2, 1));
    other.reset(b"ada");
    assert!(one.try_acquire(b"ada", 10));
    // Another name is another limiter, with another hash.
    let third = RateLimiter::in_arena(&arena, "addresses", config("10/min"), OnConflict::Error).unwrap();
    assert!(third.try_acquire(b"ada", 10));
    assert_ne!(one.key_hash(b"ada"), third.key_hash(b"ada"));
    assert_eq!(one.key_hash(b"ada"), other.key_hash(b"ada"));
}

#[test]
fn the_mode_is_each_openers_own() {
    let arena = arena(&ManualClock::new(0));
    let strict = open(&arena, config("1/min"), OnConflict::Error);
    let dry = open(&arena, LimiterConfig { mode: Mode::DryRun, ..config("1/min") }, OnConflict::Error);
    let off = open(&arena, LimiterConfig { mode: Mode::Disabled, ..config("1/min") }, OnConflict::Error);
    assert!(off.try_acquire(b"ada", 1) && dry.try_acquire(b"ada", 1) && dry.try_acquire(b"ada", 1));
    assert!(!strict.try_acquire(b"ada", 1));
    assert_eq!((strict.stats().admitted, strict.stats().would_deny, strict.stats().denied), (1, 1, 1));
}

#[test]
fn another_shape_is_an_error_that_names_both() {
    let arena = arena(&ManualClock::new(0));
    let block = Block::new(3, Duration::from_secs(60), Duration::from_secs(10), 2.0, None).unwrap();
    let made = LimiterConfig {
        fastest: Some(quota("1000/s")),
        block: Some(block),
        warm_up: Some(WarmUp::new(Duration::from_secs(5), 0.5).unwrap()),
        ..config("10/min")
    };
    open(&arena, made, OnConflict::Error);
    let others = [
        LimiterConfig { algorithm: Algorithm::LeakyBucket, ..made },
        LimiterConfig { max_keys: 101, ..made },
        LimiterConfig { block: None, ..made },
        LimiterConfig { block: Some(Block { growth: 3.0, ..block }), ..made },
        LimiterConfig { warm_up: None, ..made },
    ];
    for other in others {
        for on_conflict in [OnConflict::Error, OnConflict::Keep, OnConflict::Apply] {
            let error = refusal(&arena, other, on_conflict);
            assert_eq!(error.kind(), ArenaErrorKind::Shape, "{error}");
            assert!(error.message().contains("token_bucket, 100 keys, block"), "{error}");
        }
    }
    open(&arena, LimiterConfig { huge_pages: true, ..made }, OnConflict::Error);
    let bucket = TokenBucket::in_arena(&arena, "users", quota("1/s"), BucketConfig::default(), OnConflict::Keep);
    assert_eq!(bucket.unwrap_err().kind(), ArenaErrorKind::Shape);
}

#[test]
fn another_default_quota_is_an_error_or_kept_or_applied() {
    let arena = arena(&ManualClock::new(0));
    let first = open(&arena, config("10/min"), OnConflict::Error);
    let error = refusal(&arena, config("20/min"), OnConflict::Error);
    assert_eq!(error.kind(), ArenaErrorKind::Settings);
    assert!(error.message().contains("10 per 60s") && error.message().contains("20 per 60s"), "{error}");
    let kept = open(&arena, config("20/min"), OnConflict::Keep);
    assert_eq!((kept.quota(), kept.check(b"ada", 4).limit), (quota("10/min"), 10));
    let applied = open(&arena, config("20/min"), OnConflict::Apply);
    assert_eq!((first.quota(), applied.quota(), kept.quota()), (quota("20/min"), quota("20/min"), quota("20/min")));
    // A key keeps the part that is used.
    assert_eq!(first.check(b"ben", 1).limit, 20);
    // From now on that is what was declared.
    open(&arena, config("20/min"), OnConflict::Error);
    assert_eq!(refusal(&arena, config("10/min"), OnConflict::Error).kind(), ArenaErrorKind::Settings);
}

#[test]
fn a_quota_set_at_run_time_survives_a_worker_that_declares_what_it_did() {
    let arena = arena(&ManualClock::new(0));
    let first = open(&arena, config("10/min"), OnConflict::Error);
    for rate in ["30/min", "40/min", "50/min", "60/min", "70/min", "80/min", "90/min", "20/min"] {
        first.set_quota(quota(rate)).unwrap();
        assert_eq!((first.quota(), first.check(b"x", 0).limit), (quota(rate), quota(rate).burst()));
    }
    drop(first);
    for on_conflict in [OnConflict::Error, OnConflict::Keep, OnConflict::Apply] {
        let again = open(&arena, config("10/min"), on_conflict);
        assert_eq!((again.quota(), again.check(b"ada", 1).limit), (quota("20/min"), 20));
    }
}

#[test]
fn a_quota_that_the_table_cannot_resolve_says_what_to_do() {
    let arena = arena(&ManualClock::new(0));
    open(&arena, config("10/min"), OnConflict::Error);
    let fast = quota("10000000/s").with_burst(1).unwrap();
    let error = refusal(&arena, LimiterConfig { quota: fast, ..config("1/s") }, OnConflict::Apply);
    assert_eq!((error.kind(), error.config().map(ConfigError::field)), (ArenaErrorKind::Argument, Some("rate")));
    assert!(error.message().contains("`tidegate rm orders users`") && error.message().contains("`fastest`"), "{error}");
    // Nothing was changed.
    assert_eq!(open(&arena, config("10/min"), OnConflict::Error).quota(), quota("10/min"));
}

/// Deploys of limits as HTTP has them: from each to each, with the whole burst where the first takes seconds or longer,
/// and never more than the new one in any time.
#[test]
fn a_deploy_of_another_rate_starts() {
    let rates = ["5/minute", "20/hour", "60/minute", "10/s", "100/s", "1000/minute", "300/hour"];
    for (from, to) in rates.into_iter().flat_map(|from| rates.map(|to| (from, to))) {
        let clock = ManualClock::new(100_000 * S);
        let arena = arena(&clock);
        let old = open(&arena, config(from), OnConflict::Error);
        assert!(old.try_acquire(b"ada", quota(from).burst()));
        let new = open(&arena, config(to), OnConflict::Apply);
        assert_eq!((new.quota(), old.quota()), (quota(to), quota(to)), "{from} to {to}");
        assert!(!new.try_acquire(b"ada", 1) && !old.try_acquire(b"ada", 1), "{from} to {to}");
        let mut admitted = 0;
        let fill = quota(to).fill_time().as_nanos() as u64;
        for _ in 0..40 {
            clock.advance(Duration::from_nanos(fill / 8));
            admitted += (0..100_000).take_while(|_| old.try_acquire(b"ada", 1)).count();
        }
        let whole = 5 * quota(to).burst() as usize;
        // Rounded up, a token of a quota that is faster than what the table was made for takes 1 % longer at most.
        // Until the slower of two admits, a key comes back by the other.
        let most = if quota(to).fill_time() > quota(from).fill_time() { whole + whole / 5 } else { whole };
        assert!((whole - whole / 100 - 1..=most).contains(&admitted), "{from} to {to}: {admitted} of {whole}");
    }
}

/// What keys may have at most is declared as the quota is: a deploy changes it, within what the table resolves.
#[test]
fn another_fastest_is_an_error_or_kept_or_applied() {
    let arena = arena(&ManualClock::new(0));
    let with = |rate| LimiterConfig { fastest: Some(quota(rate)), ..config("5/min") };
    open(&arena, with("100/s"), OnConflict::Error);
    let error = refusal(&arena, with("200/s"), OnConflict::Error);
    assert_eq!(error.kind(), ArenaErrorKind::Settings);
    assert!(error.message().contains("fastest 200 per 1s, burst 200"), "{error}");
    open(&arena, with("200/s"), OnConflict::Keep);
    open(&arena, with("100/s"), OnConflict::Error);
    let applied = open(&arena, with("200/s"), OnConflict::Apply);
    assert!(applied.tier(quota("200/s")).is_ok());
    assert_eq!(refusal(&arena, with("90000000/s"), OnConflict::Apply).kind(), ArenaErrorKind::Argument);
    open(&arena, with("200/s"), OnConflict::Error);
    open(&arena, config("5/min"), OnConflict::Apply);
    open(&arena, config("5/min"), OnConflict::Error);
}

/// What the table cannot hold whole has less of its burst; what it cannot hold a token of says what to do, by the name
/// of what was written.
#[test]
fn what_takes_too_long_has_a_smaller_burst_or_a_reason() {
    let clock = ManualClock::new(100_000 * S);
    let arena = arena(&clock);
    open(&arena, config("100/s"), OnConflict::Error);
    let day = open(&arena, config("1000/day"), OnConflict::Apply);
    let burst = day.quota().burst();
    assert!((10..100).contains(&burst), "{burst}");
    assert_eq!((day.quota().count(), day.check(b"ada", 0).limit), (1_000, burst));
    assert_eq!((0..2_000).take_while(|_| day.try_acquire(b"ada", 1)).count(), burst as usize);
    clock.advance(Duration::from_millis(86_500));
    assert_eq!((0..2_000).take_while(|_| day.try_acquire(b"ada", 1)).count(), 1);
    let error = refusal(&arena, config("1/day"), OnConflict::Apply);
    assert_eq!((error.kind(), error.config().map(ConfigError::field)), (ArenaErrorKind::Argument, Some("rate")));
    for part in ["1/day", "86400s", "made for 100/s", "another name", "`tidegate rm orders users`"] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    assert_eq!(day.quota().burst(), burst, "nothing was changed");
}

#[test]
fn the_ticks_are_those_of_who_made_it() {
    let clock = ManualClock::new(0);
    let arena = arena(&clock);
    let slow = open(&arena, config("10/hour"), OnConflict::Error);
    // By itself a limiter of such a quota would have finer ticks.
    let fast = open(&arena, config("10/min"), OnConflict::Keep);
    assert!(fast.try_acquire(b"ada", 10) && !slow.try_acquire(b"ada", 1));
    let wait = [&slow, &fast].map(|limiter| limiter.check(b"ada", 1).retry_after_ns);
    assert_eq!(wait[0], wait[1]);
    clock.advance(Duration::from_nanos(wait[0]));
    assert!(fast.try_acquire(b"ada", 1) && !slow.try_acquire(b"ada", 1));
}

#[test]
fn handles_of_one_limiter_take_each_others_tiers_and_agree_on_their_numbers() {
    let arena = arena(&ManualClock::new(0));
    let [one, other] = [(); 2].map(|()| open(&arena, config("100/min"), OnConflict::Error));
    let (pro, free) = (one.tier(quota("50/min")).unwrap(), other.tier(quota("5/min")).unwrap());
    assert_eq!((other.tier(quota("50/min")), one.tier(quota("5/min"))), (Ok(pro), Ok(free)));
    assert!(other.check_tier(b"ada", 50, &pro).allowed && !one.check_tier(b"ada", 1, &pro).allowed);
    // A key of which all is used is used up for another quota too, in any handle: the numbers in the states agree.
    assert_eq!(one.check_tier(b"ada", 1, &free).retry_after_ns, 12 * S);
    // Of another limiter the quota counts.
    let stranger = RateLimiter::in_arena(&arena, "others", config("100/min"), OnConflict::Error).unwrap();
    assert_eq!(stranger.check_tier(b"ada", 1, &free).limit, 5);
}

#[test]
fn who_looks_inside_sees_it_without_its_options() {
    let arena = arena(&ManualClock::new(0));
    let block = Block::new(3, Duration::from_secs(60), Duration::from_secs(10), 2.0, None).unwrap();
    for algorithm in Algorithm::ALL {
        let name = algorithm.name();
        let config =
            LimiterConfig { algorithm, block: Some(block), fastest: Some(quota("30/min")), ..config("20/min") };
        let limiter = RateLimiter::in_arena(&arena, name, config, OnConflict::Error).unwrap();
        limiter.set_quota(quota("25/min")).unwrap();
        assert!(limiter.try_acquire(b"ada", 1) && !limiter.try_acquire(b"ada", 26));
        let (kind, mut context) = arena.context_to_look(name).unwrap();
        let seen: RateLimiter = context.look().unwrap();
        assert_eq!(
            (kind, seen.algorithm(), seen.quota()),
            (crate::arena::ObjectKind::RateLimiter, algorithm, quota("25/min"))
        );
        assert_eq!((seen.stats(), seen.len()), (limiter.stats(), 1), "{algorithm}");
    }
}

#[test]
fn an_arena_that_is_too_small_says_so() {
    let arena = arena(&ManualClock::new(0));
    let error = refusal(&arena, LimiterConfig { max_keys: 1_000_000, ..config("10/min") }, OnConflict::Error);
    assert_eq!(error.kind(), ArenaErrorKind::Full);
    // And leaves nothing behind.
    assert_eq!(arena.objects(), []);
    open(&arena, config("10/min"), OnConflict::Error);
}

#[test]
fn a_set_of_one_arena_is_shared_and_of_two_refused() {
    let clock = ManualClock::new(0);
    let shared = arena(&clock);
    let member = |arena: &Arc<Arena>| Member::from(Arc::new(open(arena, config("5/min"), OnConflict::Error)));
    let everyone = |arena: &Arc<Arena>| {
        let options = BucketConfig { mode: Mode::Enforce, ..BucketConfig::default() };
        let bucket = TokenBucket::in_arena(arena, "everyone", quota("8/min"), options, OnConflict::Error);
        Member::from(Arc::new(bucket.unwrap()))
    };
    let process = || LimitSet::new([("user", member(&shared)), ("everyone", everyone(&shared))]).unwrap();
    let (one, other) = (process(), process());
    assert!(one.check(&[b"ada"], 3).unwrap().decision.allowed);
    assert!(other.check(&[b"ada"], 2).unwrap().decision.allowed);
    assert_eq!(one.check(&[b"ada"], 1).unwrap().denied_by, Some(0));
    assert_eq!(other.check(&[b"ben"], 4).unwrap().denied_by, Some(1));
    assert_eq!(one.peek(&[b"ben"], 0).unwrap().decision.remaining, 3, "nothing was taken");
    // Each arena has its own clock, and each memory of the process.
    let elsewhere = Arena::private("elsewhere", 1 << 20, ManualClock::new(0).into()).unwrap();
    let local = Member::from(Arc::new(RateLimiter::with_config(config("5/min"), ManualClock::new(0).into()).unwrap()));
    for stranger in [member(&elsewhere), local] {
        let error = LimitSet::new([("a", everyone(&shared)), ("b", stranger)]).unwrap_err();
        assert_eq!((error.field(), error.message().contains("different clocks")), ("members", true), "{error}");
    }
}

#[test]
fn threads_that_open_and_set_quotas_leave_one_of_them() {
    let arena = arena(&ManualClock::new(0));
    let rates = ["10/min", "20/min", "30/min", "40/min"];
    let limiter = open(&arena, config("10/min"), OnConflict::Error);
    std::thread::scope(|scope| {
        for rate in rates {
            let arena = &arena;
            scope.spawn(move || {
                for _ in 0..200 {
                    let own = open(arena, config("10/min"), OnConflict::Error);
                    own.set_quota(quota(rate)).unwrap();
                    let tier = own.tier(quota("7/min")).unwrap();
                    assert_eq!(own.peek(b"ada", Some(&tier)).limit, 7);
                }
            });
        }
        for _ in 0..5_000 {
            let seen = limiter.quota();
            assert!(rates.iter().any(|rate| quota(rate) == seen), "{seen}");
        }
    });
    assert_eq!(limiter.peek(b"ada", None).limit, limiter.quota().burst());
}
