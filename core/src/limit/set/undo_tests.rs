//! What a set takes back, for every kind of member, against one that never saw the charges that were taken back.

use super::member::{Entry, Member, Receipt};
use crate::limit::{Algorithm, BucketConfig, LimiterConfig, Mode, RateLimiter, TokenBucket};
use crate::{ManualClock, Quota};
use proptest::prelude::*;
use std::sync::Arc;

const S: u64 = 1_000_000_000;
/// Of one token of 10/s.
const INTERVAL: u64 = S / 10;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Bucket,
    Striped,
    Keyed(Algorithm),
}

impl Kind {
    fn entry(self) -> Entry {
        let (clock, mode) = (ManualClock::new(0), Mode::Enforce);
        let quota: Quota = "10/s".parse().unwrap();
        let member = match self {
            Self::Keyed(algorithm) => {
                let config = LimiterConfig { max_keys: 8, mode, ..LimiterConfig::new(algorithm, quota) };
                Arc::new(RateLimiter::with_config(config, clock.into()).unwrap()).into()
            }
            Self::Bucket | Self::Striped => {
                let stripes = if matches!(self, Self::Striped) { 2 } else { 1 };
                let options = BucketConfig { stripes, mode, warm_up: None };
                Arc::new(TokenBucket::with_options(quota, options, clock.into()).unwrap()).into()
            }
        };
        Entry { name: "one".into(), member, key: 0 }
    }
}

fn charge(entry: &Entry, now: u64, n: u32) -> Option<Receipt> {
    entry.charge(now, entry.hash(&[b"k"]), n).ok().and_then(|(_, receipt)| receipt)
}

#[derive(Clone, Debug)]
enum Step {
    Keep(u32),
    Charge(u32),
    Undo(usize),
}

/// How far time moves, in tenths of a token's interval, and what is done then.
fn step() -> impl Strategy<Value = (u64, Step)> {
    let step = prop_oneof![
        3 => (1..5_u32).prop_map(Step::Keep),
        3 => (1..5_u32).prop_map(Step::Charge),
        4 => any::<usize>().prop_map(Step::Undo),
    ];
    (prop_oneof![2 => Just(0), 3 => 1..30_u64, 1 => 30..200_u64], step)
}

/// A fixed window is left out: where its windows start depends on charges that are gone, which is as good a place as
/// any.
fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![
        Kind::Bucket,
        Kind::Keyed(Algorithm::TokenBucket),
        Kind::Keyed(Algorithm::LeakyBucket),
        Kind::Keyed(Algorithm::SlidingWindow),
        Kind::Keyed(Algorithm::SlidingLog),
    ])
}

/// After a reset others may take all that there is: what was charged before it was forgiven, and comes back to nobody a
/// second time.
#[test]
fn what_was_reset_is_not_taken_back() {
    let kinds = [Kind::Bucket, Kind::Striped].into_iter().chain(Algorithm::ALL.map(Kind::Keyed));
    for (kind, all) in kinds.flat_map(|kind| [(kind, false), (kind, true)]) {
        let entry = kind.entry();
        let receipt = charge(&entry, S, 4).expect("charged");
        match &entry.member {
            Member::Bucket(bucket) => bucket.reset_at(S),
            Member::Keyed(limiter) if all => limiter.reset_all_at(S),
            Member::Keyed(limiter) => limiter.reset_at(S, b"k"),
        }
        while charge(&entry, S, 1).is_some() {}
        entry.undo(S, receipt);
        assert!(charge(&entry, S, 1).is_none(), "{kind:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// A limit that was only ever asked for what was kept admits all of it, in order: so what is kept is within the
    /// quota, however many charges came and went between. Plain roll-backs fail this, and so do those of a charge's
    /// `tat - now` where another charge was taken back before.
    #[test]
    fn taking_back_never_gives_more_than_was_taken(kind in kind(), steps in prop::collection::vec(step(), 1..60)) {
        let real = kind.entry();
        let (mut now, mut kept, mut out) = (0, Vec::new(), Vec::new());
        for (number, (tenths, step)) in steps.into_iter().enumerate() {
            now += tenths * INTERVAL / 10;
            match step {
                Step::Keep(n) => kept.extend(charge(&real, now, n).map(|_| (number, now, n))),
                Step::Charge(n) => out.extend(charge(&real, now, n).map(|receipt| (number, now, n, receipt))),
                Step::Undo(_) if out.is_empty() => {}
                Step::Undo(which) => real.undo(now, out.swap_remove(which % out.len()).3),
            }
            // What is still out may be kept.
            let mut all = kept.clone();
            all.extend(out.iter().map(|&(number, at, n, _)| (number, at, n)));
            all.sort_unstable();
            let ideal = kind.entry();
            for (_, at, n) in all {
                prop_assert!(charge(&ideal, at, n).is_some(), "{n} at {at} is more than the quota");
            }
            let [real, ideal] = [&real, &ideal].map(|entry| entry.probe(now, entry.hash(&[b"k"]), 0));
            prop_assert!(real.remaining <= ideal.remaining && real.reset_after_ns >= ideal.reset_after_ns);
        }
    }

    /// At the same moment a charge comes back whole, in any order of charges and roll-backs.
    #[test]
    fn at_one_moment_everything_comes_back(
        kind in prop::sample::select(
            // A leaky bucket gives back what was booked last only.
            [Kind::Bucket, Kind::Striped]
                .into_iter()
                .chain(Algorithm::ALL.map(Kind::Keyed))
                .filter(|kind| !matches!(kind, Kind::Keyed(Algorithm::LeakyBucket)))
                .collect::<Vec<_>>(),
        ),
        before in 0..4_u32,
        steps in prop::collection::vec((any::<bool>(), 1..4_u32, any::<usize>()), 1..30),
    ) {
        let entry = kind.entry();
        charge(&entry, 3 * S, before);
        let there = |entry: &Entry| entry.probe(3 * S, entry.hash(&[b"k"]), 0).remaining;
        let (start, mut out) = (there(&entry), Vec::new());
        for (take, n, which) in steps {
            if take {
                out.extend(charge(&entry, 3 * S, n));
            } else if !out.is_empty() {
                entry.undo(3 * S, out.swap_remove(which % out.len()));
            }
        }
        out.into_iter().for_each(|receipt| entry.undo(3 * S, receipt));
        prop_assert_eq!(there(&entry), start);
    }

    /// Whatever is taken back in whatever order, and wherever the clock steps, no two of those who stay were told the
    /// same place in a leaky bucket's queue.
    #[test]
    fn nobody_is_told_a_place_that_is_taken(
        steps in prop::collection::vec(
            (prop_oneof![6 => -20..30_i64, 1 => -500..500_i64], any::<bool>(), 1..4_u32, any::<usize>()),
            1..60,
        ),
    ) {
        let entry = Kind::Keyed(Algorithm::LeakyBucket).entry();
        let (mut now, mut told) = (3 * S, Vec::new());
        for (tenths, take, n, which) in steps {
            now = now.saturating_add_signed(tenths * (INTERVAL / 10) as i64);
            if take {
                if let Ok((decision, receipt)) = entry.charge(now, entry.hash(&[b"k"]), n) {
                    told.push((now + decision.delay_ns, u64::from(n) * INTERVAL, receipt));
                }
            } else if !told.is_empty() {
                let (.., receipt) = told.swap_remove(which % told.len());
                receipt.into_iter().for_each(|receipt| entry.undo(now, receipt));
            }
            let mut places: Vec<_> = told.iter().map(|&(from, length, _)| (from, from + length)).collect();
            places.sort_unstable();
            for pair in places.windows(2) {
                // A tick is far below a microsecond.
                prop_assert!(pair[1].0 + 1_000 >= pair[0].1, "{pair:?}");
            }
        }
    }
}
