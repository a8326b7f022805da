use super::*;
use crate::ManualClock;
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64 as Count};

const MS: u64 = 1_000_000;

fn lease() -> Lease {
    Lease::with_clock(ManualClock::new(0).into())
}

#[test]
fn it_begins_empty_and_ends_at_its_deadline() {
    let lease = lease();
    assert!(!lease.try_acquire_at(0, 1) && !lease.try_acquire_at(0, 0));
    assert_eq!(lease.grant_at(0, 10 * MS + 999_999, 3, true), Change { held: 3, dropped: 0 });
    assert!(lease.try_acquire_at(10 * MS - 1, 2) && lease.try_acquire_at(10 * MS - 1, 0));
    assert!(!lease.try_acquire_at(10 * MS - 1, 2), "all or nothing");
    assert!(!lease.try_acquire_at(10 * MS, 1), "a deadline is rounded down, never up");
    let LeaseStats { admitted, denied, asked, tokens, deadline_ns, .. } = lease.stats();
    assert_eq!((admitted, denied, asked, tokens, deadline_ns), (2, 4, 8, 1, 10 * MS));
}

#[test]
fn a_clock_beyond_the_range_finds_it_ended_and_nothing_wraps_round() {
    let lease = lease();
    let end = ((1 << 40) - 1) * MS;
    lease.grant_at(0, u64::MAX, u32::MAX, true);
    assert_eq!((lease.stats().deadline_ns, lease.tokens_at(end - 1)), (end, MOST));
    for now in [end, end + MS, end + 5 * MS, u64::MAX] {
        assert_eq!(lease.tokens_at(now), 0, "{now}");
    }
}

#[test]
fn what_does_not_fit_is_not_granted() {
    let lease = lease();
    lease.grant_at(0, 10 * MS, MOST - 1, true);
    assert_eq!(lease.grant_at(0, 10 * MS, 3, true), Change { held: MOST, dropped: 2 });
    assert_eq!(lease.grant_at(0, 10 * MS, 3, false), Change { held: 3, dropped: MOST });
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Spend(u32),
    Grant { ms: u64, tokens: u32, keep: bool },
    Lower(u32),
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    let tokens = || prop_oneof![0..20_u32, 0..20_u32, Just(MOST), Just(u32::MAX)];
    prop_oneof![
        6 => tokens().prop_map(Op::Spend),
        3 => (0..50_u64, tokens(), any::<bool>()).prop_map(|(ms, tokens, keep)| Op::Grant { ms, tokens, keep }),
        1 => tokens().prop_map(Op::Lower),
        1 => Just(Op::Close),
    ]
}

proptest! {
    /// Against deadline and tokens as two plain numbers, by a clock that steps back and leaps.
    #[test]
    fn it_does_what_two_plain_numbers_would(
        steps in prop::collection::vec((op(), -30_000_000..60_000_000_i64), 1..200),
        start in prop_oneof![Just(0), 0..1_u64 << 61],
    ) {
        let lease = lease();
        let (mut now, mut deadline, mut tokens) = (start, 0, 0_u64);
        let (mut granted, mut spent, mut dropped) = (0_u64, 0_u64, 0_u64);
        for (op, step) in steps {
            now = now.saturating_add_signed(step);
            let live = if now / MS < deadline { tokens } else { 0 };
            let most = u64::from(MOST);
            match op {
                Op::Spend(n) => {
                    let allowed = live > 0 && live >= n.into();
                    prop_assert_eq!(lease.try_acquire_at(now, n), allowed);
                    if allowed {
                        tokens -= u64::from(n);
                        spent += u64::from(n);
                    }
                }
                Op::Grant { ms, tokens: more, keep } => {
                    let until = now.saturating_add(ms * MS);
                    let change = lease.grant_at(now, until, more, keep);
                    let before = tokens;
                    tokens = ((if keep { live } else { 0 }) + u64::from(more)).min(most);
                    deadline = (until / MS).min((1 << 40) - 1);
                    granted += u64::from(more);
                    prop_assert_eq!(u64::from(change.dropped), before + u64::from(more) - tokens);
                    dropped += u64::from(change.dropped);
                }
                Op::Lower(to) => {
                    let change = lease.lower_at(now, to);
                    let kept = live.min(to.into());
                    prop_assert_eq!((u64::from(change.held), u64::from(change.dropped)), (kept, tokens - kept));
                    dropped += tokens - kept;
                    tokens = kept;
                }
                Op::Close => {
                    dropped += u64::from(lease.close().dropped);
                    (deadline, tokens) = (0, 0);
                }
            }
            let live = if now / MS < deadline { tokens } else { 0 };
            prop_assert_eq!(u64::from(lease.tokens_at(now)), live);
            prop_assert_eq!(granted, spent + dropped + tokens);
        }
    }
}

#[test]
fn eight_threads_spend_what_was_granted_and_no_more() {
    let (lease, stop, spent) = (lease(), AtomicBool::new(false), Count::new(0));
    let (mut granted, mut dropped) = (0_u64, 0_u64);
    std::thread::scope(|scope| {
        for thread in 0..8_u32 {
            let (lease, stop, spent) = (&lease, &stop, &spent);
            scope.spawn(move || {
                // Relaxed: the scope's end orders the sums.
                while !stop.load(Ordering::Relaxed) {
                    let n = 1 + thread % 3;
                    if lease.try_acquire_at(1, n) {
                        spent.fetch_add(n.into(), Ordering::Relaxed);
                    }
                }
            });
        }
        for round in 0..20_000_u32 {
            let tokens = round % 50;
            let change = match round % 7 {
                0 => lease.lower_at(1, 10),
                1 => lease.close(),
                _ => {
                    granted += u64::from(tokens);
                    lease.grant_at(1, MS + u64::from(round % 3) * MS, tokens, round % 5 != 0)
                }
            };
            dropped += u64::from(change.dropped);
        }
        stop.store(true, Ordering::Relaxed);
    });
    dropped += u64::from(lease.close().dropped);
    assert_eq!(granted, spent.into_inner() + dropped);
}
