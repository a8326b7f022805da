//! Calls under way that become slow before they end, for the bindings of Python and Node.
//!
//! A call has a lease on a slot of its process's own memory. Who takes the lease away, by one exchange, tells the
//! breaker of the call: its end, or whoever finds that it has taken `slow_call_duration`. So it is told of once, and a
//! process that dies leaves nothing behind. The permit that the caller holds names the lease where a plain one has the
//! time; the slot keeps that.
//!
//! Not a part of every breaker: two exchanges and a look at the clock more make acquire and report 1.6 times as long
//! (`tests/bench/rust/run "timed success"`).

use super::CircuitBreaker;
use super::permit::{Permit, UNTIMED};
use super::rules::nanos;
use crate::outcome::Outcome;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::sys::{PerProcess, generation};
use std::sync::OnceLock;

/// Calls of one handle that are watched together; more count when they end.
const SLOTS: usize = if cfg!(loom) { 2 } else { 256 };
/// How often somebody looks.
const EVERY_NS: u64 = 100_000_000;
/// In place of the time: `1:1 | nonce:55 | slot:8`, high to low. No sound clock reads so high.
const LEASED: u64 = 1 << 63;
const SLOT_BITS: u32 = 8;
const NONCE_MASK: u64 = (1 << 55) - 1;

/// Of a slot's state, whose other bits are the nonce: nobody's; being filled in; of a call.
const FREE: u64 = 0;
const CLAIMED: u64 = 1;
const BUSY: u64 = 2;
const STATUS_BITS: u32 = 2;
const STATUS_MASK: u64 = (1 << STATUS_BITS) - 1;

/// The calls under way of one handle of a breaker.
#[derive(Debug, Default)]
pub struct Overdue {
    /// 1: new calls are watched.
    on: AtomicU32,
    table: OnceLock<PerProcess<Table>>,
}

impl Overdue {
    /// Whether new calls are watched; those under way stay what they are.
    pub fn switch(&self, on: bool) {
        if on {
            self.table.get_or_init(PerProcess::new);
        }
        // Relaxed: a call that begins meanwhile is watched or not.
        self.on.store(on.into(), Ordering::Relaxed);
    }

    /// Whether new calls are watched.
    #[inline]
    pub fn is_on(&self) -> bool {
        // Relaxed: as above.
        self.on.load(Ordering::Relaxed) != 0
    }

    /// Watches the call of a permit that `breaker` gave out; the permit to hold in its place.
    #[inline]
    pub fn begin(&self, breaker: &CircuitBreaker, permit: Permit) -> Permit {
        match self.table.get() {
            Some(table) if self.is_on() => {
                let table = table.get();
                if permit.started_ns < LEASED {
                    sweep(table, breaker, permit.started_ns);
                }
                table.begin(permit)
            }
            _ => permit,
        }
    }

    /// `breaker` refused a call. Where probes hang, nobody else comes who could look.
    #[cold]
    pub fn refused(&self, breaker: &CircuitBreaker) {
        if self.is_on()
            && let Some(table) = self.table.get()
        {
            sweep(table.get(), breaker, breaker.clock().now());
        }
    }

    /// Ends the watch: the permit to report; `None`: the call has been counted.
    #[inline]
    pub fn end(&self, breaker: &CircuitBreaker, permit: Permit) -> Option<Permit> {
        let Some(table) = self.table.get() else { return Some(permit) };
        let table = table.get();
        let own = table.end(permit);
        if self.is_on() {
            sweep(table, breaker, breaker.clock().now());
        }
        own
    }

    /// The permit as `breaker` gave it out; without its time where the call has been counted.
    pub fn original(&self, permit: Permit) -> Permit {
        match self.table.get() {
            Some(table) => table.get().original(permit),
            None => permit,
        }
    }
}

fn sweep(table: &Table, breaker: &CircuitBreaker, now: u64) {
    if table.is_due(now)
        && let Some(slow) = breaker.config().slow_call_duration
    {
        table.sweep(now, nanos(slow), |permit| breaker.report_at(now, permit, Outcome::Slow, None));
    }
}

#[derive(Debug)]
struct Table {
    slots: Box<[Slot]>,
    /// When to look again.
    next_ns: AtomicU64,
    /// A slot that was free.
    hint: AtomicU64,
}

#[derive(Debug)]
struct Slot {
    state: AtomicU64,
    /// The permit. Written by who has claimed the slot, read by who then takes it away with an exchange.
    word: AtomicU64,
    started_ns: AtomicU64,
}

impl Default for Table {
    fn default() -> Self {
        // A lease of the parent's is none of a child's of fork.
        let first = u64::from(generation()) << 32 | 1;
        let slot = |_| Slot {
            state: AtomicU64::new(first << STATUS_BITS),
            word: AtomicU64::new(0),
            started_ns: AtomicU64::new(0),
        };
        Self { slots: (0..SLOTS).map(slot).collect(), next_ns: AtomicU64::new(0), hint: AtomicU64::new(0) }
    }
}

impl Slot {
    /// The permit of a slot whose state was read with Acquire. It is that state's if an exchange then finds it
    /// unchanged: another is written only after that.
    fn permit(&self) -> Permit {
        Permit { word: self.word.load(Ordering::Relaxed), started_ns: self.started_ns.load(Ordering::Relaxed) }
    }

    /// Frees a busy slot; false: somebody else did.
    fn take(&self, seen: u64) -> bool {
        let free = ((seen >> STATUS_BITS) + 1) << STATUS_BITS;
        // AcqRel: who claims it next writes after the permit was read here.
        self.state.compare_exchange(seen, free, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

impl Table {
    fn begin(&self, permit: Permit) -> Permit {
        if permit.started_ns >= LEASED {
            // Not timed, or by a clock of no sense.
            return Permit { started_ns: UNTIMED, ..permit };
        }
        // Relaxed: a hint.
        let first = self.hint.load(Ordering::Relaxed) as usize;
        for step in 0..self.slots.len() {
            let at = (first + step) % self.slots.len();
            let slot = &self.slots[at];
            // Relaxed: the exchange decides.
            let seen = slot.state.load(Ordering::Relaxed);
            // Acquire: pairs with the release of who freed it, and had read the permit before.
            let claims = seen & STATUS_MASK == FREE
                && slot.state.compare_exchange(seen, seen | CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok();
            if claims {
                slot.word.store(permit.word, Ordering::Relaxed);
                slot.started_ns.store(permit.started_ns, Ordering::Relaxed);
                // Release: the permit is there for who sees the slot busy.
                slot.state.store(seen | BUSY, Ordering::Release);
                self.hint.store(at as u64, Ordering::Relaxed);
                let nonce = seen >> STATUS_BITS & NONCE_MASK;
                return Permit { started_ns: LEASED | nonce << SLOT_BITS | at as u64, ..permit };
            }
        }
        permit
    }

    fn is_leased(permit: Permit) -> bool {
        permit.started_ns >= LEASED && permit.started_ns != UNTIMED
    }

    /// The slot of a lease that stands, and its state.
    fn find(&self, permit: Permit) -> Option<(&Slot, u64)> {
        let slot = self.slots.get((permit.started_ns & ((1 << SLOT_BITS) - 1)) as usize)?;
        let seen = slot.state.load(Ordering::Acquire);
        let is_it =
            seen & STATUS_MASK == BUSY && (seen >> STATUS_BITS ^ permit.started_ns >> SLOT_BITS) & NONCE_MASK == 0;
        is_it.then_some((slot, seen))
    }

    fn end(&self, permit: Permit) -> Option<Permit> {
        if !Self::is_leased(permit) {
            return Some(permit);
        }
        let (slot, seen) = self.find(permit)?;
        let own = slot.permit();
        slot.take(seen).then(|| {
            self.hint.store(permit.started_ns & ((1 << SLOT_BITS) - 1), Ordering::Relaxed);
            own
        })
    }

    fn original(&self, permit: Permit) -> Permit {
        if !Self::is_leased(permit) {
            return permit;
        }
        let untimed = Permit { started_ns: UNTIMED, ..permit };
        let Some((slot, seen)) = self.find(permit) else { return untimed };
        let own = slot.permit();
        // Acquire, with the loads before it: the slot has not changed hands between the two looks.
        crate::sync::fence(Ordering::Acquire);
        if slot.state.load(Ordering::Relaxed) == seen { own } else { untimed }
    }

    /// For one of those that come at a time.
    fn is_due(&self, now: u64) -> bool {
        // Relaxed: who looks is decided by the exchange, and what they see by the slots.
        let next = self.next_ns.load(Ordering::Relaxed);
        // As well where it lies further ahead than anybody with a sound clock puts it.
        let is_due = next.wrapping_sub(now).wrapping_sub(1) >= EVERY_NS;
        is_due
            && self
                .next_ns
                .compare_exchange(next, now.wrapping_add(EVERY_NS), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Takes the leases of all calls that have taken `slow_ns`.
    fn sweep(&self, now: u64, slow_ns: u64, mut overdue: impl FnMut(Permit)) {
        for slot in &self.slots {
            let seen = slot.state.load(Ordering::Acquire);
            if seen & STATUS_MASK != BUSY {
                continue;
            }
            let permit = slot.permit();
            if now.saturating_sub(permit.started_ns) >= slow_ns && slot.take(seen) {
                overdue(permit);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::breaker::{BreakerConfig, State, Window};
    use crate::{Clock, ManualClock};
    use std::time::Duration;

    const MS: u64 = 1_000_000;

    fn breaker(clock: &ManualClock, config: BreakerConfig) -> (CircuitBreaker, Overdue) {
        let config = BreakerConfig { slow_call_duration: Some(Duration::from_millis(500)), ..config };
        let overdue = Overdue::default();
        overdue.switch(true);
        (CircuitBreaker::with_clock("it", config, Clock::from(clock)).expect("sound"), overdue)
    }

    fn never_trips() -> BreakerConfig {
        BreakerConfig { window: Window::Calls(60_000), min_calls: 60_000, ..BreakerConfig::default() }
    }

    /// A call as a list has it: its permit, when it began, whether a sweep has counted it.
    struct Call(Permit, u64, bool);

    /// Any order of beginnings, ends, resets and readings of the clock, beside a list.
    #[test]
    fn each_call_is_counted_once() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..60 {
            let clock = ManualClock::new(1_000_000 * MS);
            let (breaker, overdue) = breaker(&clock, never_trips());
            let (mut calls, mut next) = (Vec::<Call>::new(), 0_u64);
            let (mut counted, mut failed, mut slow, mut stale) = (0, 0, 0, Vec::new());
            for _ in 0..3_000 {
                match random.u32(..20) {
                    0 => clock.set(clock.now().saturating_sub(random.u64(..300) * MS)),
                    _ => clock.advance(Duration::from_millis(random.u64(..40))),
                }
                let now = clock.now();
                let begins = random.bool() && calls.len() < SLOTS;
                let ends = !begins && !calls.is_empty();
                let ended = ends.then(|| calls.swap_remove(random.usize(..calls.len())));
                if (begins || ends) && (now >= next || next > now + EVERY_NS) {
                    next = now + EVERY_NS;
                    for call in calls.iter_mut().filter(|call| !call.2 && now.saturating_sub(call.1) >= 500 * MS) {
                        call.2 = true;
                        counted += 1;
                        slow += 1;
                    }
                }
                if begins {
                    let permit = breaker.acquire().expect("closed");
                    calls.push(Call(overdue.begin(&breaker, permit), now, false));
                }
                if let Some(Call(permit, began, swept)) = ended {
                    let outcome = [Outcome::Success, Outcome::Failure, Outcome::Ignore][random.usize(..3)];
                    let own = overdue.end(&breaker, permit);
                    assert_eq!(own.is_none(), swept);
                    if let Some(own) = own {
                        assert_eq!((own.word, own.started_ns), (permit.word, began));
                        breaker.report(own, outcome, None);
                        counted += u32::from(outcome != Outcome::Ignore);
                        failed += u32::from(outcome.failed());
                        slow += u32::from(outcome != Outcome::Ignore && now.saturating_sub(began) >= 500 * MS);
                    }
                    stale.push(permit);
                }
                if random.u32(..50) == 0 && !stale.is_empty() {
                    let again = stale[random.usize(..stale.len())];
                    // It may sweep, so not before the list does.
                    assert!(overdue.table.get().expect("on").get().end(again).is_none(), "reported twice");
                }
                let stats = breaker.stats();
                assert_eq!((stats.calls, stats.failed, stats.slow), (counted, failed, slow));
                if random.u32(..400) == 0 {
                    // Calls of the generation before are void, swept or not.
                    breaker.reset();
                    for Call(permit, ..) in calls.drain(..) {
                        if let Some(own) = overdue.table.get().expect("on").get().end(permit) {
                            breaker.report(own, Outcome::Failure, None);
                        }
                    }
                    (counted, failed, slow) = (0, 0, 0);
                }
            }
        }
    }

    #[test]
    fn a_hanging_dependency_opens_the_circuit_before_any_call_returns() {
        let clock = ManualClock::new(MS);
        let config = BreakerConfig { min_calls: 4, ..BreakerConfig::default() };
        let (breaker, overdue) = breaker(&clock, config);
        let begin = || overdue.begin(&breaker, breaker.acquire().expect("closed"));
        let calls: Vec<_> = (0..4).map(|_| begin()).collect();
        clock.advance(Duration::from_millis(499));
        begin();
        assert_eq!(breaker.state(), State::Closed);
        clock.advance(Duration::from_millis(101));
        begin();
        assert_eq!(breaker.state(), State::Open);
        assert_eq!(breaker.stats().last_trip.map(|trip| (trip.calls, trip.slow)), Some((4, 4)));
        for call in calls {
            assert!(overdue.end(&breaker, call).is_none());
        }
        assert_eq!(breaker.state(), State::Open);
        // A probe that hangs is slow as well, and opens it again.
        clock.advance(Duration::from_secs(30));
        let probe = begin();
        clock.advance(Duration::from_millis(500));
        assert_eq!(breaker.state(), State::HalfOpen);
        // Nobody begins or ends a call meanwhile.
        assert!(breaker.acquire().is_err());
        overdue.refused(&breaker);
        assert_eq!(breaker.state(), State::Open);
        assert!(overdue.end(&breaker, probe).is_none());
    }

    #[test]
    fn more_calls_than_are_watched_count_when_they_end() {
        let clock = ManualClock::new(MS);
        let (breaker, overdue) = breaker(&clock, never_trips());
        let calls: Vec<_> =
            (0..SLOTS + 3).map(|_| overdue.begin(&breaker, breaker.acquire().expect("closed"))).collect();
        clock.advance(Duration::from_secs(1));
        let ended: Vec<_> = calls.iter().rev().filter_map(|&call| overdue.end(&breaker, call)).collect();
        assert_eq!(ended.len(), 3, "that were never watched");
        assert_eq!(breaker.stats().slow, SLOTS as u32);
        assert!(overdue.begin(&breaker, breaker.acquire().expect("closed")).started_ns >= LEASED);
    }

    #[test]
    fn it_is_switched_at_any_time() {
        let clock = ManualClock::new(MS);
        let (breaker, overdue) = breaker(&clock, never_trips());
        let watched = overdue.begin(&breaker, breaker.acquire().expect("closed"));
        overdue.switch(false);
        let plain = overdue.begin(&breaker, breaker.acquire().expect("closed"));
        assert_eq!(overdue.original(watched).started_ns, plain.started_ns);
        clock.advance(Duration::from_secs(1));
        assert_eq!(overdue.end(&breaker, plain), Some(plain));
        assert_eq!(breaker.stats().calls, 0, "nobody looks");
        overdue.switch(true);
        assert_eq!(overdue.end(&breaker, plain), Some(plain));
        assert_eq!(breaker.stats().slow, 1);
        assert_eq!(overdue.original(watched).started_ns, UNTIMED);
        // Not while no call is slow.
        breaker.update_config(|config| config.slow_call_duration = None).expect("sound");
        let untimed = overdue.begin(&breaker, breaker.acquire().expect("closed"));
        assert_eq!(untimed.started_ns, UNTIMED);
        let forged = Permit { word: 1, started_ns: LEASED | 255 };
        assert_eq!(overdue.end(&breaker, forged), None);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::sync::Arc;
    use loom::thread;

    fn explore(model: impl Fn() + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(4);
        builder.check(model);
    }

    fn permit(word: u64) -> Permit {
        Permit { word, started_ns: word }
    }

    /// What a sweep told of.
    fn swept(table: &Table, now: u64) -> Vec<Permit> {
        let mut told = Vec::new();
        table.sweep(now, 0, |permit| told.push(permit));
        told
    }

    /// The end of a call, two sweeps, and a call that takes the slot at once: each call is told of once, with its own
    /// permit.
    #[test]
    fn loom_a_call_is_told_of_once() {
        explore(|| {
            let table = Arc::new(Table::default());
            let first = table.begin(permit(5));
            let sweeper = {
                let table = table.clone();
                thread::spawn(move || swept(&table, 100))
            };
            let mut told: Vec<_> = table.end(first).into_iter().collect();
            let second = table.begin(permit(6));
            told.extend(sweeper.join().unwrap());
            told.extend(table.end(second));
            told.sort_by_key(|permit| permit.word);
            assert_eq!(told, [permit(5), permit(6)]);
            assert!(table.end(first).is_none() && table.end(second).is_none());
        });
    }

    /// Two sweeps at once.
    #[test]
    fn loom_two_sweeps_tell_of_a_call_once() {
        explore(|| {
            let table = Arc::new(Table::default());
            table.begin(permit(5));
            let sweeper = {
                let table = table.clone();
                thread::spawn(move || swept(&table, 100))
            };
            let mine = swept(&table, 100);
            let theirs = sweeper.join().unwrap();
            assert_eq!(mine.len() + theirs.len(), 1);
            assert!(mine.into_iter().chain(theirs).all(|it| it == permit(5)));
        });
    }

    /// Two that begin at once have a slot each.
    #[test]
    fn loom_two_calls_have_leases_of_their_own() {
        explore(|| {
            let table = Arc::new(Table::default());
            let other = {
                let table = table.clone();
                thread::spawn(move || {
                    let lease = table.begin(permit(5));
                    (lease, table.original(lease))
                })
            };
            let mine = table.begin(permit(6));
            assert_eq!(table.end(mine), Some(permit(6)));
            let (theirs, original) = other.join().unwrap();
            assert_eq!((original, table.end(theirs)), (permit(5), Some(permit(5))));
        });
    }
}
