//! The two words of a slot under every interleaving of two threads, up to a bound on preemptions.

use super::*;
use crate::sync::Arc;
use loom::thread;

const GENERATION: u16 = 7;
const END: Deadline = Deadline(9);
const KILLED: Owner = Owner(3);
const ALIVE: Owner = Owner(4);

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(4);
    builder.check(model);
}

fn probes(slots: u32) -> Arc<Probes> {
    Arc::new(Probes::in_room(&mut ObjectAllocator::of_process(false), slots).expect("memory"))
}

fn lease(probes: &Probes, owner: Owner) -> Option<u64> {
    let free = probes.survey(GENERATION, probes.room()).free?;
    probes.lease(free, GENERATION, owner, END, u32::MAX, probes.room())
}

fn settle(probes: &Probes, permit: u64) -> bool {
    probes.settle(permit, GENERATION, |_| true, false, false)
}

/// A leaser was killed after its first word. Two others finish for it at once: one of them has the slot then.
#[test]
fn loom_a_leaser_killed_between_its_words_is_finished_once() {
    explore(|| {
        let probes = probes(1);
        let first = Slot::new(GENERATION, Status::Leased, KILLED, 1);
        assert!(probes.swap(0, Slot(0), first));
        let take = |probes: &Probes| {
            let reaped = probes.reap((GENERATION, probes.room()), 0, END, |_| Some(1), |owner| owner == KILLED);
            (reaped, lease(probes, ALIVE))
        };
        let other = {
            let probes = probes.clone();
            thread::spawn(move || take(&probes))
        };
        let (mine, theirs) = (take(&probes), other.join().unwrap());
        assert_eq!(mine.0 + theirs.0, 1);
        let permit = mine.1.xor(theirs.1).expect("one of them leases it");
        assert_eq!(permit & NUMBER_MASK, 2);
        assert!(!settle(&probes, 1), "the killed one's permit");
        assert!(settle(&probes, permit) && !settle(&probes, permit));
    });
}

/// A leaser that is only slow, and is finished for and reaped between its words, holds nothing.
#[test]
fn loom_a_leaser_reaped_between_its_words_holds_nothing() {
    explore(|| {
        let probes = probes(1);
        let other = {
            let probes = probes.clone();
            thread::spawn(move || lease(&probes, KILLED))
        };
        let reaped = probes.reap((GENERATION, probes.room()), 0, END, |_| Some(0), |_| false) == 1;
        let mine = if reaped { lease(&probes, ALIVE) } else { None };
        let theirs = other.join().unwrap();
        assert_eq!(reaped, mine.is_some(), "a slot that was reaped is free");
        assert_eq!(theirs.is_some_and(|permit| settle(&probes, permit)), !reaped);
        assert_eq!(mine.is_some_and(|permit| settle(&probes, permit)), reaped);
    });
}

/// A late thread that writes the end for a leaser, and finds it over, takes no permit away that was given out.
#[test]
fn loom_an_end_that_a_late_thread_wrote_is_no_permits() {
    explore(|| {
        let probes = probes(1);
        let late = {
            let probes = probes.clone();
            let left = |end| Some(u64::from(end == END));
            thread::spawn(move || probes.reap((GENERATION, probes.room()), 0, Deadline(END.0 - 4), left, |_| false))
        };
        let permit = lease(&probes, ALIVE);
        late.join().unwrap();
        if let Some(permit) = permit {
            assert!(settle(&probes, permit));
        }
        let survey = probes.survey(GENERATION, probes.room());
        assert!(survey.leased == 0 && (survey.free.is_some() || survey.done.calls == 1));
    });
}

/// A permit whose lease is lost and given to the same owner again: the old one or the new one counts.
#[test]
fn loom_a_stale_permit_leaves_the_next_lease_alone() {
    explore(|| {
        let probes = probes(1);
        let stale = lease(&probes, ALIVE).expect("a slot");
        let other = {
            let probes = probes.clone();
            thread::spawn(move || settle(&probes, stale))
        };
        let reaped = probes.reap((GENERATION, probes.room()), 0, END, |_| Some(0), |_| false);
        let mine = lease(&probes, ALIVE).is_some_and(|permit| settle(&probes, permit));
        let theirs = other.join().unwrap();
        assert_eq!((mine, theirs), (reaped == 1, reaped == 0));
        assert_eq!(probes.survey(GENERATION, probes.room()).done.calls, 1);
    });
}

/// Of two that report the last probes at once, one at least comes to the verdict, and no two differ.
#[test]
fn loom_two_reporters_of_the_last_probes_come_to_one_verdict() {
    for (failed, expected) in [([false, false], Verdict::Close), ([true, false], Verdict::Reopen)] {
        explore(move || {
            let probes = probes(2);
            let thresholds = Thresholds { failure_rate: 0.5, slow_rate: 1.0, min_calls: 1 };
            let permits = [lease(&probes, ALIVE), lease(&probes, ALIVE)].map(|permit| permit.expect("a slot"));
            let report = move |probes: &Probes, which: usize| {
                assert!(probes.settle(permits[which], GENERATION, |_| true, failed[which], false));
                Probes::verdict(&probes.survey(GENERATION, probes.room()), &thresholds)
            };
            let other = {
                let probes = probes.clone();
                thread::spawn(move || report(&probes, 0))
            };
            let verdicts = [report(&probes, 1), other.join().unwrap()];
            assert!(verdicts.contains(&Some(expected)), "{verdicts:?}");
            assert!(verdicts.into_iter().flatten().all(|verdict| verdict == expected), "{verdicts:?}");
        });
    }
}
