//! Every interleaving of a few threads on one line. Run: `RUSTFLAGS="--cfg loom" cargo test -p tidegate --lib --profile
//! loom loom_`.

use super::line::OWN;
use super::take::Taken;
use super::*;
use crate::ManualClock;
use crate::memory::ObjectAllocator;
use loom::sync::Arc;
use loom::thread;

const P: u64 = 1_000;

/// One line; a period of [`P`] ns.
fn log(limit: u32) -> Arc<Log> {
    Arc::new(
        Log::in_room(&mut ObjectAllocator::of_process(false), limit, P, 1, Present::new(ManualClock::new(0).into(), 0))
            .unwrap(),
    )
}

/// With all blocks of the line but one taken by others, who are live at `at`.
fn crowded(limit: u32, at: u64, others: u64) -> Arc<Log> {
    let log = log(limit);
    for key in 0..others {
        assert!(take(&log, 100 + key, at, limit, 1).allowed);
    }
    log
}

fn take(log: &Log, key: u64, at: u64, burst: u32, n: u32) -> Taken {
    log.take(key, at, burst, n, false)
}

fn left(log: &Log, key: u64, at: u64, burst: u32) -> u32 {
    log.take(key, at, burst, 0, true).remaining
}

fn together<A: Send + 'static, B>(
    log: &Arc<Log>,
    there: impl FnOnce(&Log) -> A + Send + 'static,
    here: impl FnOnce(&Log) -> B,
) -> (A, B) {
    let other = log.clone();
    let handle = thread::spawn(move || there(&other));
    let here = here(log);
    (handle.join().unwrap(), here)
}

fn model(run: impl Fn() + Sync + Send + 'static) {
    model_to(3, run);
}

/// With at most so many preemptions.
fn model_to(bound: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bound);
    builder.max_branches = 5_000;
    builder.check(run);
}

fn blocks_of(log: &Log, key: u64) -> usize {
    let tag = line::tag(key);
    (0..OWN).filter(|&index| log.owner(0, index).tag() == tag).count()
}

#[test]
fn loom_two_claims_of_the_last_slot() {
    model(|| {
        let log = log(2);
        assert!(take(&log, 1, 10, 2, 1).allowed);
        let (a, b) = together(&log, |log| take(log, 1, 10, 2, 1), |log| take(log, 1, 10, 2, 1));
        assert!(a.allowed ^ b.allowed, "one slot is left for one of them");
        assert_eq!(left(&log, 1, 10, 2), 0);
    });
}

#[test]
fn loom_two_claims_by_a_smaller_quota_than_there_are_slots() {
    model(|| {
        let log = log(2);
        assert!(!take(&log, 1, 10, 1, 2).allowed && take(&log, 1, 10 - 10, 2, 2).allowed);
        // All that was is dead by now.
        let now = P + 10;
        let (a, b) = together(&log, move |log| take(log, 1, now, 1, 1), move |log| take(log, 1, now, 1, 1));
        assert!(!(a.allowed && b.allowed));
        // Both may have taken theirs back: then it is still there.
        let third = take(&log, 1, now, 1, 1);
        assert_eq!(usize::from(a.allowed) + usize::from(b.allowed) + usize::from(third.allowed), 1);
    });
}

#[test]
fn loom_a_key_inserted_twice_at_once_has_one_block() {
    model(|| {
        let log = log(1);
        let (a, b) = together(&log, |log| take(log, 1, 10, 1, 1), |log| take(log, 1, 10, 1, 1));
        assert!(a.allowed ^ b.allowed);
        assert_eq!(blocks_of(&log, 1), 1);
    });
}

#[test]
fn loom_a_claim_and_a_reset() {
    model(|| {
        let log = log(1);
        assert!(take(&log, 1, 10, 1, 1).allowed);
        let ((), claimed) = together(&log, |log| log.reset(1, 20), |log| take(log, 1, 20, 1, 1));
        // The claim came after the reset, or before it and was denied, or after it had begun and was forgotten or not.
        let more = take(&log, 1, 20, 1, 1).allowed;
        assert!(claimed.allowed || more, "a reset key is new");
        assert_eq!(left(&log, 1, 20, 1), 0);
    });
}

#[test]
fn loom_a_refund_gives_back_what_was_taken_and_no_more() {
    model(|| {
        let log = log(2);
        assert!(take(&log, 1, 10, 2, 2).allowed);
        let ((), claimed) = together(&log, |log| log.refund(1, 20, 1), |log| take(log, 1, 20, 2, 1));
        let more = (0..3).filter(|_| take(&log, 1, 20, 2, 1).allowed).count();
        // One was given back; a claim between finding the stamp and picking it up may be what is given back.
        assert_eq!(usize::from(claimed.allowed) + more, 1);
    });
}

#[test]
fn loom_two_undo_one_charge_each() {
    model(|| {
        let log = log(2);
        let charges = [(); 2].map(|()| take(&log, 1, 10, 2, 1).charge.unwrap());
        let undo = |log: &Log, charge| log.undo(1, charge, 1);
        together(&log, move |log| undo(log, charges[0]), move |log| undo(log, charges[1]));
        // Each may have met the other's; what is in hand at the end is in nobody's.
        assert!(left(&log, 1, 10, 2) >= 1);
        assert!(log.block(0, 0).all().all(|(_, stamp)| stamp & stamp::IN_HAND == 0));
    });
}

/// Key 100 is idle, and the only one whose block can be had; it comes back while key 1 wants it.
#[test]
fn loom_a_claim_and_an_eviction() {
    model_to(2, || {
        let log = crowded(1, 0, 1);
        for other in 1..OWN as u64 {
            assert!(take(&log, 100 + other, P, 1, 1).allowed);
        }
        let now = P + 500;
        let (returned, new) = together(&log, move |log| take(log, 100, now, 1, 1), move |log| take(log, 1, now, 1, 1));
        assert!(returned.allowed || new.allowed, "one of them at least");
        // Who was admitted is remembered, in a block of its own or in the shared one.
        assert!(!(returned.allowed && take(&log, 100, now, 1, 1).allowed));
        assert!(!(new.allowed && take(&log, 1, now, 1, 1).allowed));
        assert!(blocks_of(&log, 1) <= 1 && blocks_of(&log, 100) <= 1);
    });
}

#[test]
fn loom_an_evicted_key_is_not_fresh_for_an_old_reading() {
    model_to(2, || {
        let log = crowded(1, 0, OWN as u64);
        // Key 100 is live until P; a thread that read the clock before it meets one for whom it is idle.
        let (early, _) = together(&log, |log| take(log, 100, P / 2, 1, 1), |log| take(log, 1, 3 * P, 1, 1));
        // Either it was judged by its own block, or as of the moment when that went to another.
        let moment = log.moment.get();
        assert!(!early.allowed || moment >= P, "{moment}");
        assert!(!early.allowed || !take(&log, 100, P / 2, 1, 1).allowed);
    });
}

#[test]
fn loom_the_shared_block_and_a_new_one_know_of_each_other() {
    model(|| {
        // Six are live for long; for one thread key 100 is so too, and key 1 finds no room. For the other it does.
        let log = crowded(1, 0, 1);
        for other in 1..OWN as u64 {
            assert!(take(&log, 100 + other, P / 2, 1, 1).allowed);
        }
        let (a, b) = together(&log, |log| take(log, 1, P - 1, 1, 1), |log| take(log, 1, P + 100, 1, 1));
        assert!(!(a.allowed && b.allowed));
        assert!(!take(&log, 1, P + 100, 1, 1).allowed || !(a.allowed || b.allowed));
    });
}

/// What the issue began with: an idle key is penalised while its block goes to another.
#[test]
fn loom_a_penalty_and_an_eviction() {
    model_to(2, || {
        let log = crowded(1, 0, 1);
        for other in 1..OWN as u64 {
            assert!(take(&log, 100 + other, P, 1, 1).allowed);
        }
        let now = P + 500;
        let end = now + 50_000_000;
        let (noted, new) = together(&log, move |log| log.penalize(100, now, end), move |log| take(log, 1, now, 1, 1));
        assert!(new.allowed, "the penalty is another key's");
        assert!(!take(&log, 1, now, 1, 1).allowed, "what was admitted stays");
        assert!(!noted || !take(&log, 100, now, 1, 1).allowed, "what was noted holds");
    });
}

#[test]
fn loom_two_insertions_and_the_owner_of_the_only_idle_block() {
    model_to(2, || {
        let log = crowded(1, 0, 1);
        for other in 1..OWN as u64 {
            assert!(take(&log, 100 + other, P, 1, 1).allowed);
        }
        let now = P + 500;
        let (a, b) = together(&log, move |log| take(log, 1, now, 1, 1), move |log| take(log, 2, now, 1, 1));
        assert!(a.allowed || b.allowed);
        for (key, taken) in [(1, a), (2, b)] {
            assert!(!(taken.allowed && take(&log, key, now, 1, 1).allowed));
            assert!(blocks_of(&log, key) <= 1);
        }
    });
}
