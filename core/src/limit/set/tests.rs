//! Sets of buckets.

use super::*;
use crate::decision::NEVER;
use crate::limit::{BucketConfig, Mode, WarmUp};
use crate::{ManualClock, TokenBucket};
use std::sync::Arc;
use std::time::Duration;

const S: u64 = 1_000_000_000;

fn bucket_in(clock: &ManualClock, rate: &str, mode: Mode) -> Arc<TokenBucket> {
    let options = BucketConfig { mode, ..BucketConfig::default() };
    Arc::new(TokenBucket::with_options(rate.parse().unwrap(), options, clock.into()).unwrap())
}

/// A set of enforced buckets named a, b, c…, and the buckets.
fn set_of(rates: &[&str]) -> (LimitSet, Vec<Arc<TokenBucket>>) {
    let clock = ManualClock::new(0);
    let buckets: Vec<_> = rates.iter().map(|rate| bucket_in(&clock, rate, Mode::Enforce)).collect();
    (set(&buckets), buckets)
}

fn set(buckets: &[Arc<TokenBucket>]) -> LimitSet {
    let named = buckets.iter().zip('a'..).map(|(bucket, name)| (name, bucket.clone().into()));
    LimitSet::new(named).unwrap()
}

fn counts(bucket: &TokenBucket) -> (u64, u64, u64) {
    let stats = bucket.stats();
    (stats.admitted, stats.denied, stats.would_deny)
}

#[test]
fn takes_from_all_or_from_none() {
    let (set, buckets) = set_of(&["10/s", "4/s", "20/s"]);
    let taken = set.check_at(0, &[], 3).unwrap();
    assert_eq!((taken.denied_by, taken.decision.allowed, taken.decision.remaining), (None, true, 1));
    assert_eq!(taken.decision.limit, 4, "the one with the fewest left answers");
    let denied = set.check_at(0, &[], 3).unwrap();
    assert_eq!((denied.denied_by, denied.decision.allowed), (Some(1), false));
    assert_eq!(denied.decision.retry_after_ns, S / 2, "two of four a second");
    let left: Vec<_> = buckets.iter().map(|bucket| bucket.peek_at(0).remaining).collect();
    assert_eq!(left, [7, 1, 17]);
    assert!(set.check_at(S / 2, &[], 3).unwrap().decision.allowed, "waiting as told is enough");
    assert_eq!([0, 1, 2].map(|i| counts(&buckets[i])), [(2, 0, 0), (2, 1, 0), (2, 0, 0)]);
}

#[test]
fn the_longest_wait_answers_and_never_wins() {
    let (set, _) = set_of(&["2/s", "2/min", "2/min", "2/s"]);
    assert!(set.check_at(0, &[], 2).unwrap().decision.allowed);
    let denied = set.check_at(0, &[], 1).unwrap();
    assert_eq!((denied.denied_by, denied.decision.retry_after_ns), (Some(1), 30 * S), "the first declared of equals");
    let (set, buckets) = set_of(&["10/min", "5/s"]);
    assert!(buckets[0].try_acquire_at(0, 10));
    let denied = set.check_at(0, &[], 6).unwrap();
    assert_eq!((denied.denied_by, denied.decision.retry_after_ns), (Some(1), NEVER));
    assert_eq!(buckets.iter().map(|bucket| counts(bucket).1).collect::<Vec<_>>(), [1, 1], "both refused");
}

#[test]
fn the_same_limit_twice_costs_twice() {
    let clock = ManualClock::new(0);
    let bucket = bucket_in(&clock, "10/s", Mode::Enforce);
    let set = set(&[bucket.clone(), bucket.clone()]);
    assert!(set.check_at(0, &[], 3).unwrap().decision.allowed);
    assert_eq!(bucket.peek_at(0).remaining, 4);
    let denied = set.check_at(0, &[], 3).unwrap();
    assert_eq!((denied.denied_by, denied.decision.retry_after_ns), (Some(1), 2 * S / 10), "each alone would pass");
    assert_eq!(bucket.peek_at(0).remaining, 4, "and the first was taken back");
    assert!(set.check_at(2 * S / 10, &[], 3).unwrap().decision.allowed);
}

#[test]
fn each_member_tells_its_own() {
    let (set, _) = set_of(&["10/s", "4/s", "20/s"]);
    let mut each = [Decision::untouched(0); 2];
    assert!(set.check_each_at(0, &[], 3, &mut each).unwrap().decision.allowed);
    assert_eq!(each.map(|told| (told.limit, told.remaining)), [(10, 7), (4, 1)]);
    let mut each = [Decision::untouched(0); 5];
    assert_eq!(set.check_each_at(0, &[], 3, &mut each).unwrap().denied_by, Some(1));
    let told = each.map(|told| (told.allowed, told.remaining, told.reset_after_ns));
    assert_eq!(told[..3], [(true, 7, 3 * S / 10), (false, 1, 3 * S / 4), (true, 17, 3 * S / 20)]);
    assert_eq!(each[3], Decision::untouched(0), "there is no fourth member");
}

#[test]
fn a_peek_foresees_and_takes_nothing() {
    let (set, buckets) = set_of(&["10/s", "4/s"]);
    for n in [0, 3, 2, 1, 1, 5] {
        let there = buckets[1].peek_at(0);
        let (foreseen, came) = (set.peek_at(0, &[], n).unwrap(), set.check_at(0, &[], n).unwrap());
        assert_eq!((foreseen.denied_by, foreseen.decision.remaining), (came.denied_by, there.remaining), "{n}");
        assert_eq!(foreseen.decision.retry_after_ns, came.decision.retry_after_ns, "{n}");
    }
    assert_eq!(counts(&buckets[0]), (3, 0, 0));
    let mut each = [Decision::untouched(0); 2];
    let told = set.peek_each_at(0, &[], 2, &mut each).unwrap();
    assert_eq!((told.denied_by, each.map(|own| (own.allowed, own.remaining))), (Some(1), [(true, 6), (false, 0)]));
    assert_eq!(each[1].retry_after_ns, told.decision.retry_after_ns);
    assert_eq!(counts(&buckets[0]), (3, 0, 0), "and nothing is counted");
    set.refund_at(0, &[], 2).unwrap();
    assert_eq!([buckets[0].peek_at(0).remaining, buckets[1].peek_at(0).remaining], [8, 2]);
}

#[test]
fn a_dry_run_counts_and_never_refuses() {
    let clock = ManualClock::new(0);
    let [enforced, dry, off] = [("10/s", Mode::Enforce), ("4/s", Mode::DryRun), ("1/s", Mode::Disabled)]
        .map(|(rate, mode)| bucket_in(&clock, rate, mode));
    let set = set(&[enforced.clone(), dry.clone(), off.clone()]);
    for _ in 0..2 {
        let answer = set.check_at(0, &[], 3).unwrap();
        assert_eq!((answer.denied_by, answer.decision.allowed), (None, true));
        assert_eq!(answer.decision.limit, 10, "what is enforced answers");
    }
    assert_eq!((dry.peek_at(0).remaining, enforced.peek_at(0).remaining), (1, 4));
    assert_eq!(set.check_at(0, &[], 5).unwrap().denied_by, Some(0));
    assert_eq!([&enforced, &dry, &off].map(|bucket| counts(bucket)), [(2, 1, 0), (1, 0, 2), (0, 0, 0)]);
    let mut each = [Decision::untouched(0); 3];
    assert!(set.check_each_at(0, &[], 2, &mut each).unwrap().decision.allowed);
    assert_eq!(each.map(|told| (told.allowed, told.remaining)), [(true, 2), (true, 1), (true, 1)]);
}

#[test]
fn a_warming_or_punished_member_speaks_for_itself() {
    let clock = ManualClock::new(0);
    let warm_up = Some(WarmUp::new(Duration::from_secs(10), 0.2).unwrap());
    let options = BucketConfig { mode: Mode::Enforce, stripes: 1, warm_up };
    let warming = TokenBucket::with_options("10/s".parse().unwrap(), options, (&clock).into()).unwrap();
    let (warming, other) = (Arc::new(warming), bucket_in(&clock, "10/s", Mode::Enforce));
    let set = set(&[warming, other.clone()]);
    let taken = set.check(&[], 2).unwrap().decision;
    assert_eq!((taken.allowed, taken.limit, taken.remaining), (true, 2, 0));
    other.penalize(Duration::from_secs(60));
    assert_eq!(set.check(&[], 0).unwrap().denied_by, Some(1));
    clock.advance(Duration::from_secs(61));
    assert!(set.check(&[], 10).unwrap().decision.allowed);
}

#[test]
fn striped_members_are_all_or_nothing_too() {
    let clock = ManualClock::new(0);
    let striped = TokenBucket::striped("12/s".parse().unwrap(), 3, (&clock).into()).unwrap();
    let (striped, narrow) = (Arc::new(striped), bucket_in(&clock, "4/s", Mode::Enforce));
    let set = set(&[striped.clone(), striped.clone(), narrow.clone()]);
    assert!(set.check(&[], 4).unwrap().decision.allowed);
    assert_eq!((striped.peek().remaining, narrow.peek().remaining), (4, 0));
    clock.advance(Duration::from_millis(250));
    assert_eq!(set.check(&[], 1).unwrap().denied_by, None);
    narrow.reset();
    assert_eq!(set.check(&[], 4).unwrap().denied_by, Some(1), "one stripe has four, and no other");
    assert_eq!(narrow.peek().remaining, 4);
}

#[test]
fn wrong_members_and_keys_are_told() {
    let clock = ManualClock::new(0);
    let member = || Member::from(bucket_in(&clock, "1/s", Mode::Enforce));
    let wrong = |members: Vec<(&str, Member)>| {
        let error = LimitSet::new(members).unwrap_err();
        assert_eq!(error.field(), "members");
        error.message().to_owned()
    };
    assert!(wrong(vec![]).contains("1 to 16"));
    assert!(wrong(vec![("", member())]).contains("without a name"));
    assert!(wrong(vec![("a", member()), ("b", member()), ("a", member())]).contains("\"a\" comes twice"));
    let other = bucket_in(&ManualClock::new(0), "1/s", Mode::Enforce).into();
    assert!(wrong(vec![("a", member()), ("b", other)]).contains("\"a\" and \"b\" run on different clocks"));
    let names: Vec<_> = (0..17).map(|i| i.to_string()).collect();
    assert!(wrong(names.iter().map(|name| (name.as_str(), member())).collect()).contains("17 limits given"));
    let set = LimitSet::new(names[..16].iter().map(|name| (name, member()))).unwrap();
    assert!(set.check(&[], 1).unwrap().decision.allowed);
    assert_eq!((set.names().count(), set.members().count()), (16, 16));
    for error in
        [set.check(&[b"k"], 1).unwrap_err(), set.peek(&[b"k"], 1).unwrap_err(), set.refund(&[b"k"], 1).unwrap_err()]
    {
        assert_eq!(
            (error.field(), error.message()),
            ("keys", "1 given, and no limit of this set takes a key; give none")
        );
    }
    for (_, member) in set.members() {
        let Member::Bucket(bucket) = member else { panic!("a keyed member") };
        assert_eq!(counts(bucket), (1, 0, 0));
    }
}
