//! Every interleaving of a few threads on shared limits. Run: `RUSTFLAGS="--cfg loom" cargo test -p tidegate --lib
//! --profile loom loom_`.

use super::*;
use crate::limit::{Algorithm, BucketConfig, LimiterConfig, Mode, RateLimiter};
use crate::{ManualClock, TokenBucket};
use loom::thread;
use std::sync::Arc;
use std::time::Duration;

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

fn bucket(burst: u64, clock: &ManualClock) -> Arc<TokenBucket> {
    let quota = "1/s".parse::<crate::Quota>().unwrap().with_burst(burst).unwrap();
    let options = BucketConfig { mode: Mode::Enforce, ..BucketConfig::default() };
    Arc::new(TokenBucket::with_options(quota, options, clock.into()).unwrap())
}

fn buckets<const N: usize>(bursts: [u64; N]) -> [Arc<TokenBucket>; N] {
    let clock = ManualClock::new(0);
    bursts.map(|burst| bucket(burst, &clock))
}

fn set(buckets: &[&Arc<TokenBucket>]) -> Arc<LimitSet> {
    let named = buckets.iter().enumerate().map(|(i, bucket)| (i.to_string(), Member::from((*bucket).clone())));
    Arc::new(LimitSet::new(named).unwrap())
}

fn take(set: &LimitSet, n: u32) -> bool {
    set.check_at(0, &[], n).unwrap().decision.allowed
}

fn left(bucket: &TokenBucket) -> u32 {
    bucket.peek_at(0).remaining
}

/// Two calls that cross on their narrow limits and meet on the wide one.
#[test]
fn loom_what_a_denied_call_took_is_back_once_all_is_quiet() {
    model(|| {
        let [a, b, wide] = buckets([1, 1, 3]);
        let sets = [set(&[&a, &wide]), set(&[&b, &wide])];
        let other = sets[1].clone();
        let thread = thread::spawn(move || take(&other, 2));
        let taken = [take(&sets[0], 1), thread.join().unwrap()];
        // The second asks for two of a limit of one: never, and nothing of the wide one is gone for it.
        assert_eq!(taken, [true, false]);
        assert_eq!([left(&a), left(&b), left(&wide)], [0, 1, 2]);
    });
}

#[test]
fn loom_two_calls_never_share_a_token_and_leave_nothing_behind() {
    model(|| {
        let [a, b, wide] = buckets([1, 1, 1]);
        let sets = [set(&[&a, &wide]), set(&[&b, &wide])];
        let other = sets[1].clone();
        let thread = thread::spawn(move || take(&other, 1));
        let taken = u32::from(take(&sets[0], 1)) + u32::from(thread.join().unwrap());
        assert!(taken <= 1, "{taken} of one");
        assert_eq!(left(&wide), 1 - taken);
        assert_eq!(left(&a) + left(&b), 2 - taken, "the one that was denied has its own back");
        // Whoever comes again gets what is there: exactly the quota, once demand outlasts the race.
        let again = u32::from(take(&sets[0], 1)) + u32::from(take(&sets[1], 1));
        assert_eq!(taken + again, 1);
    });
}

/// Opposite orders of declaration, the same order of charging or not: neither deadlock nor loss.
#[test]
fn loom_two_limits_in_opposite_orders() {
    model(|| {
        let [a, b] = buckets([1, 1]);
        let sets = [set(&[&a, &b]), set(&[&b, &a])];
        let other = sets[1].clone();
        let thread = thread::spawn(move || take(&other, 1));
        let taken = u32::from(take(&sets[0], 1)) + u32::from(thread.join().unwrap());
        assert!(taken <= 1);
        assert_eq!([left(&a), left(&b)], [1 - taken, 1 - taken]);
        assert_eq!(taken + u32::from(take(&sets[1], 1)), 1);
    });
}

/// A call that takes two of the same three twice, against one other operation on them. `expected` is what may be left
/// where the call was denied, as it must be by itself, and where the other operation came between its charges and let
/// it pass.
fn roll_back_against(act: fn(&TokenBucket), denied: &'static [u32], passed: &'static [u32]) {
    model(move || {
        let [bucket] = buckets([3]);
        let twice = set(&[&bucket, &bucket]);
        let thread = thread::spawn(move || take(&twice, 2));
        act(&bucket);
        let expected = if thread.join().unwrap() { passed } else { denied };
        assert!(expected.contains(&left(&bucket)), "{} left of {expected:?}", left(&bucket));
    });
}

#[test]
fn loom_a_roll_back_and_an_acquisition() {
    // Denied or not while the two were out: what it got is gone, and nothing else.
    let acquire = |bucket: &TokenBucket| _ = bucket.try_acquire_at(0, 2);
    roll_back_against(acquire, &[1, 3], &[]);
}

#[test]
fn loom_a_roll_back_and_a_refund() {
    // The refund of one token finds a full bucket, or lets four of three pass.
    roll_back_against(|bucket| bucket.refund_at(0, 1), &[3], &[0]);
}

#[test]
fn loom_a_roll_back_never_shortens_a_penalty() {
    model(|| {
        let [bucket] = buckets([3]);
        let twice = set(&[&bucket, &bucket]);
        let thread = thread::spawn(move || take(&twice, 2));
        bucket.penalize_at(0, Duration::from_secs(5));
        assert!(!thread.join().unwrap());
        assert!(!bucket.try_acquire_at(5_999_999_999, 1));
        assert!(bucket.try_acquire_at(6_000_000_000, 1));
    });
}

#[test]
fn loom_a_roll_back_and_a_reset() {
    // Full after the reset, or before a second charge that passes.
    roll_back_against(|bucket| bucket.reset_at(0), &[3], &[1]);
}

#[test]
fn loom_a_roll_back_and_a_change_of_quota() {
    fn change(bucket: &TokenBucket) {
        let quota = "7/min".parse::<crate::Quota>().unwrap().with_burst(3).unwrap();
        bucket.set_quota_at(0, quota).unwrap();
    }
    // The change keeps a level: that with the two out, or that with them back. Never more.
    roll_back_against(change, &[1, 3], &[]);
}

/// What a call takes back belongs to the bucket as it was: one that has been reset, or has filled, is whole without it.
fn nothing_of_an_earlier_level(make_full: fn(&TokenBucket, &ManualClock)) {
    model(move || {
        let clock = ManualClock::new(0);
        let bucket = bucket(3, &clock);
        let twice = set(&[&bucket, &bucket]);
        let thread = thread::spawn(move || twice.check(&[], 2).unwrap().decision.allowed);
        make_full(&bucket, &clock);
        let got = if bucket.try_acquire(3) { 3 } else { 0 };
        let passed = thread.join().unwrap();
        let left = bucket.peek().remaining;
        assert!(got + left <= 3, "{got} taken and {left} left of three, passed: {passed}");
    });
}

#[test]
fn loom_a_roll_back_after_a_reset_gives_nothing() {
    nothing_of_an_earlier_level(|bucket, _| bucket.reset());
}

#[test]
fn loom_a_roll_back_in_a_bucket_that_has_filled_gives_nothing() {
    nothing_of_an_earlier_level(|_, clock| clock.advance(Duration::from_secs(10)));
}

/// One key of a limiter, and a bucket that everybody shares.
fn keyed_and_wide(algorithm: Algorithm, per_key: u64, wide: u64) -> (Arc<LimitSet>, Arc<TokenBucket>) {
    let clock = ManualClock::new(0);
    let quota = "1/s".parse::<crate::Quota>().unwrap().with_burst(per_key).unwrap();
    let config = LimiterConfig { max_keys: 1, mode: Mode::Enforce, ..LimiterConfig::new(algorithm, quota) };
    let keyed = Arc::new(RateLimiter::with_config(config, (&clock).into()).unwrap());
    let wide = bucket(wide, &clock);
    let members: [(&str, Member); 2] = [("all", wide.clone().into()), ("key", keyed.into())];
    (Arc::new(LimitSet::new(members).unwrap()), wide)
}

/// Two calls with the same key where one is all that the wide limit has.
fn one_key_and_one_token(algorithm: Algorithm) {
    model(move || {
        let (set, wide) = keyed_and_wide(algorithm, 2, 1);
        let take = |set: &LimitSet| u32::from(set.check_at(0, &[b"k"], 1).unwrap().decision.allowed);
        let other = set.clone();
        let thread = thread::spawn(move || take(&other));
        let taken = take(&set) + thread.join().unwrap();
        // The narrow limit had room for both: only the wide one decided, and it never refuses all.
        assert_eq!((taken, left(&wide)), (1, 0));
        let Member::Keyed(keyed) = set.members().nth(1).unwrap().1 else { unreachable!() };
        assert_eq!(keyed.peek_at(0, b"k", None).remaining, 1, "the one that was denied has its own back");
    });
}

#[test]
fn loom_a_key_s_tokens_come_back() {
    one_key_and_one_token(Algorithm::TokenBucket);
}

#[test]
fn loom_a_key_s_hits_come_back() {
    one_key_and_one_token(Algorithm::FixedWindow);
}

#[test]
fn loom_a_key_s_counts_come_back() {
    one_key_and_one_token(Algorithm::SlidingWindow);
}

#[test]
fn loom_a_key_s_stamps_come_back() {
    one_key_and_one_token(Algorithm::SlidingLog);
}

/// Two roll-backs at once, each with the other's charge on top of or under its own.
#[test]
fn loom_two_roll_backs_give_back_what_they_took() {
    model(|| {
        let [bucket] = buckets([3]);
        let twice = set(&[&bucket, &bucket]);
        let other = twice.clone();
        let thread = thread::spawn(move || take(&other, 2));
        let first = take(&twice, 2);
        assert_eq!((first, thread.join().unwrap()), (false, false));
        assert_eq!(left(&bucket), 3);
    });
}
