//! Every interleaving of a few threads on the words that all share.

use super::cells::Cell;
use super::turn::Turn;
use crate::memory::Zeroable;
use loom::sync::Arc;
use loom::thread;

fn explore(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

#[test]
fn loom_a_turn_is_one_threads() {
    explore(|| {
        let turn = Arc::new(Turn::blank());
        let others = [(); 2].map(|()| {
            let turn = turn.clone();
            thread::spawn(move || turn.take(1_000_000, 500_000, 3))
        });
        let mut taken: Vec<_> = others.into_iter().filter_map(|other| other.join().unwrap()).collect();
        taken.extend(turn.take(1_000_000, 500_000, 3));
        assert_eq!(taken, [0]);
        // The next one is the second's, and no number is left out.
        assert_eq!(turn.take(1_500_000, 500_000, 3), Some(1));
    });
}

#[test]
fn loom_turns_one_after_the_other_leave_no_number_out() {
    explore(|| {
        let turn = Arc::new(Turn::blank());
        let other = {
            let turn = turn.clone();
            thread::spawn(move || [turn.take(0, 1_000, 2), turn.take(1_000, 1_000, 2)])
        };
        let here = [turn.take(0, 1_000, 2), turn.take(1_000, 1_000, 2)];
        let mut taken: Vec<_> = other.join().unwrap().into_iter().chain(here).flatten().collect();
        taken.sort_unstable();
        assert_eq!(taken, [0, 1]);
    });
}

#[test]
fn loom_the_largest_told_is_kept() {
    explore(|| {
        let cell = Arc::new(Cell::blank());
        let others = [0.25, 0.75].map(|value| {
            let cell = cell.clone();
            thread::spawn(move || cell.tell(3, value, &Zeroable::blank()))
        });
        cell.tell(3, 0.5, &Zeroable::blank());
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(cell.value(3), Some(0.75));
    });
}
