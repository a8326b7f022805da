//! Every interleaving of a few threads on one line. Run: `RUSTFLAGS="--cfg loom" cargo test -p tidegate --lib --profile loom
//! loom_`.

use super::kind::{Gcra, Layout};
use super::ops::Acquire;
use super::table::{OVERFLOWED, Op, Spot, Step, Table};
use super::time::{Now, later, unwrap};
use super::units::{Units, bucket_ticks, bucket_units};
use super::{KeyHash, Quota};
use crate::memory::Room;
use loom::sync::Arc;
use loom::thread;

const S: u64 = 1_000_000_000;

/// One line, one word of the sketch; one token a second, burst 1.
struct Rig {
    table: Table,
    kind: Gcra,
    units: Units,
}

impl Rig {
    fn new() -> Arc<Self> {
        let quota: Quota = "1/s".parse().unwrap();
        let ticks = bucket_ticks(&[quota]).unwrap();
        let units = bucket_units(ticks, &quota).unwrap();
        let room = &mut Room::of_process(false);
        let kind = Gcra::in_room(room, ticks, units.span, false).unwrap();
        kind.admit(&units);
        Arc::new(Self { table: Table::in_room(room, 1).unwrap(), kind, units })
    }

    /// With seven keys (1 to 7) that are live until one second after `at`.
    fn full(at: u64) -> Arc<Self> {
        let rig = Self::new();
        for key in 1..=7 {
            assert!(rig.take(key, at));
        }
        rig
    }

    fn take(&self, key: u64, at: u64) -> bool {
        let take = Acquire { kind: &self.kind, units: &self.units, n: 1 };
        self.table.apply(&self.kind, KeyHash::of_bits(key), self.kind.now(at), &take)
    }

    /// What two threads are admitted together: each takes a key at a time.
    fn race(rig: &Arc<Self>, one: (u64, u64), other: (u64, u64)) -> [bool; 2] {
        let there = rig.clone();
        let handle = thread::spawn(move || there.take(one.0, one.1));
        let here = rig.take(other.0, other.1);
        [handle.join().unwrap(), here]
    }
}

fn admitted(of: [bool; 2]) -> usize {
    of.into_iter().filter(|&yes| yes).count()
}

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

#[test]
fn loom_a_key_inserted_twice_at_once_has_one_cell() {
    model(|| {
        let rig = Rig::new();
        assert_eq!(admitted(Rig::race(&rig, (9, S), (9, S))), 1);
        assert!(!rig.take(9, S));
    });
}

#[test]
fn loom_two_keys_inserted_at_once_both_find_room() {
    model(|| {
        let rig = Rig::new();
        assert_eq!(Rig::race(&rig, (8, S), (9, S)), [true, true]);
        assert!(!rig.take(8, S) && !rig.take(9, S));
        assert_eq!(rig.table.len(&rig.kind, rig.kind.now(S)), 2);
    });
}

#[test]
fn loom_a_key_that_comes_back_keeps_its_cell_or_starts_anew() {
    model(|| {
        let rig = Rig::full(0);
        // All are idle by now; key 1 returns while its cell may be given to key 9.
        assert_eq!(Rig::race(&rig, (9, 3 * S), (1, 3 * S)), [true, true]);
        assert!(!rig.take(1, 3 * S) && !rig.take(9, 3 * S));
    });
}

#[test]
fn loom_a_full_line_sends_a_key_to_the_sketch_once() {
    model(|| {
        let rig = Rig::full(S);
        assert_eq!(admitted(Rig::race(&rig, (9, S), (9, S))), 1);
        assert!(!rig.take(9, S));
        assert!(rig.table.counts.sum(OVERFLOWED) > 0);
        // No live key lost its cell.
        assert!((1..=7).all(|key| !rig.take(key, S)));
    });
}

#[test]
fn loom_the_sketch_and_a_new_cell_know_of_each_other() {
    model(|| {
        let rig = Rig::full(0);
        for key in 1..=7 {
            // The keys are free at different moments: only the seventh still is not, a moment before the other thread.
            rig.take(key, if key == 7 { S } else { 2 * S });
        }
        // One thread finds the line full as of then; for the other key 7 is idle, and its cell goes to key 9.
        let then = 2 * S - 1;
        let both = Rig::race(&rig, (9, then), (9, 2 * S + (1 << 28)));
        // Both may be charged twice, and then be denied early; neither is forgotten.
        assert!(admitted(both) <= 1, "{both:?}");
        assert!(!rig.take(9, 2 * S + (1 << 28)));
    });
}

#[test]
fn loom_an_evicted_key_is_not_fresh_for_an_old_clock_reading() {
    model(|| {
        let rig = Rig::full(0);
        // Key 1 is live until 1 s; a thread that read the clock at 0.5 s meets one at 3 s that gives its cell away.
        let [late, early] = Rig::race(&rig, (9, 3 * S), (1, S / 2));
        assert!(late && !early);
    });
}

#[test]
fn loom_a_sweep_forgets_nobody_who_is_live() {
    model(|| {
        let rig = Rig::new();
        // Just before and just after an epoch of the line ends.
        let end = 1 << 34;
        assert!(rig.take(1, end - 10));
        assert_eq!(Rig::race(&rig, (1, end + 10), (1, end + 20)), [false, false]);
        assert!(rig.take(1, end - 10 + S));
    });
}

#[test]
fn loom_two_insertions_and_the_owner_of_the_only_idle_cell() {
    model(|| {
        let rig = Rig::full(0);
        for key in 2..=7 {
            rig.take(key, 3 * S);
        }
        // Key 1 is idle and wanted by two others, who get its cell or the sketch; nobody is admitted twice.
        let first = Rig::race(&rig, (8, 3 * S), (9, 3 * S));
        assert!(admitted(first) >= 1);
        assert!(!(first[0] && rig.take(8, 3 * S)));
        assert!(!(first[1] && rig.take(9, 3 * S)));
        assert!((2..=7).all(|key| !rig.take(key, 3 * S)));
    });
}

#[test]
fn loom_who_sweeps_late_frees_nobody_who_was_charged_meanwhile() {
    model(|| {
        let rig = Rig::new();
        // Five epochs after its only charge the line is swept by both; one token is there.
        let now = 5 * rig.kind.ticks().ns(1 << (rig.kind.time_bits() - 3));
        assert!(rig.take(1, S));
        assert_eq!(admitted(Rig::race(&rig, (1, now), (1, now))), 1);
        assert!(!rig.take(1, now));
    });
}

/// The smallest epochs: 8 ticks of a nanosecond. A charge is free four ticks later, and denied until then.
#[derive(Debug)]
struct Tiny;

impl Tiny {
    const BITS: u32 = 6;
}

impl Layout for Tiny {
    fn now(&self, ns: u64) -> Now {
        Now { ns, tick: ns }
    }

    fn time_bits(&self) -> u32 {
        Self::BITS
    }

    fn grain(&self) -> u32 {
        0
    }

    fn free_at(&self, state: u64, now: Now) -> u64 {
        unwrap(state & ((1 << Self::BITS) - 1), Self::BITS, now.tick)
    }

    fn fresh(&self, at: u64) -> u64 {
        at & ((1 << Self::BITS) - 1)
    }

    fn merge(&self, a: u64, b: u64, now: Now) -> u64 {
        if later(self.free_at(b, now), self.free_at(a, now)) { b } else { a }
    }
}

struct Once;

impl Op for Once {
    type Answer = bool;

    fn give_up(&self) -> bool {
        false
    }

    fn judge(&self, _spot: Spot, state: u64, now: Now) -> Step<bool> {
        if later(Tiny.free_at(state, now), now.tick) {
            Step::Keep(false)
        } else {
            Step::Put(Tiny.fresh(now.tick + 4), true)
        }
    }
}

/// Two threads at the same moment, after `idle` ticks, on keys that may share a line: each key is admitted once.
fn tiny(idle: u64, keys: [u64; 2]) {
    model(move || {
        let table = Arc::new(Table::in_room(&mut Room::of_process(false), 1).unwrap());
        let once = |table: &Table, key: u64, at: u64| table.apply(&Tiny, KeyHash::of_bits(key), Tiny.now(at), &Once);
        assert!(once(&table, 1, 9));
        let there = table.clone();
        let other = thread::spawn(move || once(&there, keys[0], 9 + idle));
        let here = once(&table, keys[1], 9 + idle);
        let both = [other.join().unwrap(), here];
        assert_eq!(admitted(both), if keys[0] == keys[1] { 1 } else { 2 });
        assert!(!once(&table, keys[0], 9 + idle) && !once(&table, keys[1], 9 + idle));
    });
}

#[test]
fn loom_small_epochs_sweep_and_charge() {
    for idle in [8, 24, 40] {
        tiny(idle, [1, 1]);
    }
}

#[test]
fn loom_small_epochs_sweep_and_insert() {
    tiny(40, [1, 2]);
    tiny(24, [2, 2]);
}
