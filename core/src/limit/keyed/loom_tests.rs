//! Every interleaving of a few threads on one line. Run: `RUSTFLAGS="--cfg loom" cargo test -p tidegate --lib --profile
//! loom loom_`.

use super::kind::{Charge, Gcra, Layout};
use super::ops::{Acquire, Own, Reset, Take, Undo};
use super::table::{OVERFLOWED, Op, Spot, Step, Table};
use super::time::{Now, Present, later, unwrap};
use super::units::{Units, bucket_measure, bucket_units};
use super::{KeyHash, Quota};
use crate::ManualClock;
use crate::memory::ObjectAllocator;
use loom::sync::Arc;
use loom::thread;

const S: u64 = 1_000_000_000;

/// Of a clock that stands: only readings count.
fn present() -> Present {
    Present::new(ManualClock::new(0).into(), 0)
}

/// One line, one word of the sketch; one token a second, burst 1.
struct Rig {
    table: Table,
    kind: Gcra,
    units: Units,
}

impl Rig {
    fn new() -> Arc<Self> {
        let quota: Quota = "1/s".parse().unwrap();
        let measure = bucket_measure(&[quota]).unwrap();
        let units = bucket_units(measure.ticks, &quota).unwrap();
        let room = &mut ObjectAllocator::of_process(false);
        let kind = Gcra::in_room(room, measure, units.span, false, present()).unwrap();
        kind.fills().raise(&units);
        Arc::new(Self { table: Table::in_room(room, 1, present()).unwrap(), kind, units })
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
        self.table.apply(&self.kind, KeyHash::of_bits(key), at, &take)
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
    model_of(3, run);
}

/// With so many switches of threads at most where they are not needed.
fn model_of(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
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
        assert_eq!(rig.table.len(&rig.kind, S), 2);
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
    model_of(2, || {
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
        let end = rig.kind.ticks().ns(1 << rig.kind.epoch_bits());
        assert!(rig.take(1, end - 10));
        assert_eq!(Rig::race(&rig, (1, end + 10), (1, end + 20)), [false, false]);
        assert!(rig.take(1, end - 10 + S));
    });
}

#[test]
fn loom_two_insertions_and_the_owner_of_the_only_idle_cell() {
    model_of(2, || {
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
        // Long after its only charge the line is swept by both, which dates it; one token is there.
        let now = 100 * rig.kind.ticks().ns(1 << rig.kind.epoch_bits());
        assert!(rig.take(1, S));
        assert_eq!(admitted(Rig::race(&rig, (1, now), (1, now))), 1);
        assert!(!rig.take(1, now));
    });
}

/// The smallest epochs: 8 ticks of 2^`0` nanoseconds. A charge is free four ticks later, and denied until then.
#[derive(Clone, Copy, Debug)]
struct Tiny(u32);

impl Tiny {
    const BITS: u32 = 6;

    fn table() -> Arc<Table> {
        Arc::new(Table::in_room(&mut ObjectAllocator::of_process(false), 1, present()).unwrap())
    }

    /// Whether a key is admitted at a tick.
    fn once(self, table: &Table, key: u64, tick: u64) -> bool {
        table.apply(&self, KeyHash::of_bits(key), tick << self.0, &Once(self))
    }
}

impl Layout for Tiny {
    fn now(&self, ns: u64) -> Now {
        Now::new(ns, ns >> self.0)
    }

    fn ns(&self, ticks: u64) -> u64 {
        ticks.saturating_mul(1 << self.0)
    }

    fn time_bits(&self) -> u32 {
        Self::BITS
    }

    fn coarse(&self, now: Now) -> u64 {
        now.tick << self.0
    }

    fn free_at(&self, state: u64, now: Now) -> u64 {
        unwrap(state & ((1 << Self::BITS) - 1), Self::BITS, now.near)
    }

    fn fresh(&self, at: u64) -> u64 {
        at & ((1 << Self::BITS) - 1)
    }

    fn merge(&self, a: u64, b: u64, now: Now) -> u64 {
        if later(self.free_at(b, now), self.free_at(a, now)) { b } else { a }
    }
}

struct Once(Tiny);

impl Op for Once {
    type Answer = bool;

    fn give_up(&self) -> bool {
        false
    }

    fn judge(&self, _spot: Spot, state: u64, now: Now) -> Step<bool> {
        let free = self.0.free_at(state, now);
        if later(free, now.tick) { Step::Keep(false) } else { Step::Put(self.0.fresh(now.tick + 4), true) }
    }
}

/// Two threads, each with a key and a tick, after key 1 was charged at tick 9.
fn tiny(here: (u64, u64), there: (u64, u64), check: impl Fn(&Table, [bool; 2]) + Sync + Send + 'static) {
    model(move || {
        let table = Tiny::table();
        assert!(Tiny(0).once(&table, 1, 9));
        let shared = table.clone();
        let other = thread::spawn(move || Tiny(0).once(&shared, there.0, there.1));
        let here = Tiny(0).once(&table, here.0, here.1);
        check(&table, [here, other.join().unwrap()]);
    });
}

/// At the same moment, after `idle` ticks, on keys that may share a line: each key is admitted once. Who read its cell
/// before a sweep dated it and the header after that may be denied early, and asks again.
fn each_once(idle: u64, keys: [u64; 2]) {
    let now = 9 + idle;
    tiny((keys[0], now), (keys[1], now), move |table, both| {
        let again = keys.map(|key| Tiny(0).once(table, key, now));
        for key in keys {
            let of_key = |answers: [bool; 2]| (0..2).filter(|&at| keys[at] == key && answers[at]).count();
            assert_eq!(of_key(both) + of_key(again), 1, "{idle} {both:?} {again:?}");
        }
    });
}

#[test]
fn loom_small_epochs_sweep_and_charge() {
    // (After 64 ticks a charge has the bits of the one at tick 9: a thread that held its dating up for so long would
    // take one for the other, as [`super::reclaim`] says.)
    for idle in [8, 24, 40, 65] {
        each_once(idle, [1, 1]);
    }
}

#[test]
fn loom_small_epochs_sweep_and_insert() {
    each_once(40, [1, 2]);
    each_once(24, [2, 2]);
}

/// The late one comes while the charge of tick 9 still counts: at once, and where ticks have come round since.
#[test]
fn loom_who_is_late_by_epochs_meets_a_charge() {
    for after in [16, 40, 64] {
        tiny((1, 9 + after), (1, 10), move |_, both| assert_eq!(both, [true, false], "{after}"));
    }
}

#[test]
fn loom_who_is_late_by_epochs_meets_an_insertion() {
    for after in [40, 64] {
        tiny((2, 9 + after), (1, 10), move |_, both| assert_eq!(both, [true, false], "{after}"));
    }
}

#[test]
fn loom_who_is_late_charges_while_the_line_is_swept() {
    for after in [16, 40, 64] {
        // At tick 14 the charge is over, and at the later one that of tick 14 is.
        tiny((2, 9 + after), (1, 14), move |table, both| {
            assert!(both[0]);
            assert!(!Tiny(0).once(table, 1, 14), "{both:?}");
            assert!(Tiny(0).once(table, 1, 9 + after) && !Tiny(0).once(table, 1, 9 + after));
        });
    }
}

/// A second is about 2^30 nanoseconds.
#[test]
fn loom_a_bad_reading_heals_while_others_come() {
    model_of(2, || {
        let (table, kind) = (Tiny::table(), Tiny(30));
        assert!(kind.once(&table, 1, 9));
        // The clock goes back; a minute of readings says so.
        assert!(kind.once(&table, 1, 1_000));
        assert!(!kind.once(&table, 2, 10));
        let shared = table.clone();
        let other = thread::spawn(move || kind.once(&shared, 2, 70));
        let here = kind.once(&table, 1, 70);
        // What the bad reading touched is used up, what it did not is new; who comes first finds the old moment still.
        assert!(!here);
        let there = other.join().unwrap();
        assert!(there || kind.once(&table, 2, 70));
        assert!(!kind.once(&table, 1, 71) && !kind.once(&table, 2, 71));
        assert!(kind.once(&table, 1, 70 + 16));
    });
}

/// A reading ahead gives a cell away while others find that it is a bad one: what the cell held is not forgotten.
#[test]
fn loom_who_loses_a_cell_while_a_bad_reading_heals_is_not_new() {
    model_of(2, || {
        // A tick is longer than healing takes; the bad reading is of the same epoch.
        let (table, kind) = (Tiny::table(), Tiny(36));
        assert!((1..=7).all(|key| kind.once(&table, key, 8)));
        let shared = table.clone();
        let ahead = thread::spawn(move || kind.once(&shared, 8, 14));
        let early = [9, 10, 11].map(|tick| kind.once(&table, 1, tick));
        ahead.join().unwrap();
        let late = [9, 10, 11].map(|tick| kind.once(&table, 1, tick));
        assert!(!early.contains(&true) && !late.contains(&true), "{early:?} {late:?}");
        assert!(kind.once(&table, 1, 40));
    });
}

/// What is put lasts for as long as anything may.
struct Longest(Tiny);

impl Op for Longest {
    type Answer = bool;

    fn give_up(&self) -> bool {
        false
    }

    fn judge(&self, spot: Spot, state: u64, now: Now) -> Step<bool> {
        match Once(self.0).judge(spot, state, now) {
            Step::Put(_, admitted) => Step::Put(self.0.fresh(now.tick + self.0.refill()), admitted),
            denied @ Step::Keep(_) => denied,
        }
    }
}

/// A key is charged in a line that a reading ahead has swept, when the clock has come there; it steps back, and two
/// threads heal the line at once.
#[test]
fn loom_who_heals_behind_a_charge_keeps_it() {
    model_of(2, || {
        let (table, kind) = (Tiny::table(), Tiny(36));
        let once = move |table: &Table, key: u64, tick: u64| {
            table.apply(&kind, KeyHash::of_bits(key), tick << 36, &Longest(kind))
        };
        assert!(once(&table, 1, 0) && once(&table, 3, 20));
        assert!(!once(&table, 2, 10), "noted");
        assert!(once(&table, 1, 17));
        let shared = table.clone();
        let other = thread::spawn(move || once(&shared, 2, 12));
        assert!(!once(&table, 1, 12));
        other.join().unwrap();
        assert!([17, 28, 32].iter().all(|&tick| !once(&table, 1, tick)));
        assert!(once(&table, 1, 33));
    });
}

/// A charge is taken back while its key is reset and charged again: what the other charged stays.
#[test]
fn loom_what_was_charged_since_a_reset_is_not_taken_back() {
    model(|| {
        let rig = Rig::new();
        let key = KeyHash::of_bits(1);
        let charge = {
            let rig = rig.clone();
            thread::spawn(move || {
                let resets = rig.table.resets();
                let take = Take { kind: &rig.kind, units: &rig.units, n: 1, look: false };
                let taken = rig.table.apply(&rig.kind, key, S, &take);
                if let Some(Own::Cell(own)) = taken.own {
                    let charge = Charge { n: 1, own, at: rig.kind.now(S) };
                    let undo = Undo { kind: &rig.kind, units: &rig.units, charge, table: &rig.table, resets };
                    rig.table.apply(&rig.kind, key, S, &undo);
                }
            })
        };
        rig.table.apply(&rig.kind, key, S, &Reset { kind: &rig.kind, table: &rig.table });
        let admitted = rig.take(1, S);
        charge.join().unwrap();
        assert!(!(admitted && rig.take(1, S)));
    });
}
