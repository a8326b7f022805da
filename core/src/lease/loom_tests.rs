//! Every interleaving of those who spend with the one who grants, lowers and closes.

use super::*;
use crate::ManualClock;
use loom::sync::Arc;
use loom::thread;

const MS: u64 = 1_000_000;

fn explore(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

fn spenders(lease: &Arc<Lease>) -> Vec<thread::JoinHandle<u32>> {
    let spend = |now| {
        let lease = lease.clone();
        thread::spawn(move || u32::from(lease.try_acquire_at(now, 1)))
    };
    vec![spend(0), spend(99 * MS)]
}

fn sum(spenders: Vec<thread::JoinHandle<u32>>) -> u32 {
    spenders.into_iter().map(|spender| spender.join().unwrap()).sum()
}

#[test]
fn loom_lease_a_grant_loses_and_mints_nothing() {
    explore(|| {
        let lease = Arc::new(Lease::with_clock(ManualClock::new(0).into()));
        lease.grant_at(0, 100 * MS, 1, true);
        let others = spenders(&lease);
        let change = lease.grant_at(1, 200 * MS, 1, true);
        let spent = sum(others);
        assert_eq!(1 + 1, spent + change.dropped + lease.tokens_at(1));
    });
}

#[test]
fn loom_lease_what_was_lowered_is_not_spent() {
    explore(|| {
        let lease = Arc::new(Lease::with_clock(ManualClock::new(0).into()));
        lease.grant_at(0, 100 * MS, 2, true);
        let others = spenders(&lease);
        let change = lease.lower_at(0, 1);
        let later = lease.tokens_at(0);
        let spent = sum(others);
        assert!(later <= change.held && change.held <= 1);
        assert_eq!(2, spent + change.dropped + lease.tokens_at(0));
    });
}

#[test]
fn loom_lease_nothing_is_spent_after_it_was_closed() {
    explore(|| {
        let lease = Arc::new(Lease::with_clock(ManualClock::new(0).into()));
        lease.grant_at(0, 100 * MS, 2, true);
        let others = spenders(&lease);
        let dropped = lease.close().dropped;
        assert!(!lease.try_acquire_at(0, 1));
        assert_eq!(2, sum(others) + dropped);
    });
}
