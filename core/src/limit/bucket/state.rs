//! A bucket's shared state: one word that decides, and what the word refers to.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use super::super::gcra::{self, Moment};
use super::super::scale::{MAX_UNITS, Scale};
use super::bookings::Bookings;
use super::reach::Reach;
use super::slot::Slot;
use super::view::{Charge, View};
use super::word::Word;
use crate::decision::NEVER;
use crate::limit::{GAVE_UP_NS, WarmUp};
use crate::memory::{ChangeLock, ObjectAllocator, One, PATIENCE, Watch, Zeroable};
use crate::sync::{AtomicU32, AtomicU64, Ordering, load_for_cas};
use crate::{Clock, ConfigError, Decision, Quota};
use std::sync::Arc;

/// How much further ahead of now than any burst, wait or penalty a word must be before it can be a bad clock reading.
/// Until then a reader with an old clock reading just denies.
pub(super) const BAD_READING_NS: u64 = 60_000_000_000;

/// What changes, on the heap or in an arena: atomics only.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Shared {
    word: AtomicU64,
    /// In the word's line, where a decision has it at hand. Written by readings that find the word impossibly far
    /// ahead, once for a step of the clock, and by the next that does not.
    watch: Watch,
    // The word's line is written by every admission; what follows is only read by most.
    _line: [AtomicU64; 6],
    /// Of bookings and of penalties, since the last reset.
    booked: Reach,
    penalised: Reach,
    /// The furthest `tat` from which the word was lowered below bookings that are still out: no booking that is out
    /// lies beyond the word and this.
    overhang: AtomicU64,
    /// Counts changes of the quota and resets; receipts of an earlier one are void.
    generation: AtomicU32,
    /// Counts what has given tokens back (and, where exchanges failed, a little more).
    given_back: AtomicU32,
    bookings: Bookings,
    /// See [`was_due`](BucketState::was_due).
    tail: AtomicU64,
    was_due: AtomicU64,
    slots: [Slot; 4],
}

// SAFETY: atomics only.
unsafe impl Zeroable for Shared {
    #[cfg(loom)]
    fn blank() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            word: zero(),
            watch: Zeroable::blank(),
            _line: std::array::from_fn(|_| zero()),
            booked: Zeroable::blank(),
            penalised: Zeroable::blank(),
            overhang: zero(),
            generation: AtomicU32::new(0),
            given_back: AtomicU32::new(0),
            bookings: Bookings::blank(),
            tail: zero(),
            was_due: zero(),
            slots: std::array::from_fn(|_| Slot::blank()),
        }
    }
}

/// A bucket: its shared state, and what never changes, in memory of this process.
#[derive(Debug)]
pub(super) struct BucketState {
    shared: One<Shared>,
    /// For a reading that is no older than a word which was read before it.
    clock: Clock,
    /// Clock time at unit 0, and the counter's reading then.
    epoch_ns: u64,
    epoch_ticks: u64,
    /// Before so many ticks since the epoch, ticks do not decide: a ramp is not over, or this process does not enforce.
    not_by_ticks: u64,
    /// The ramp since the epoch.
    warm_up: WarmUp,
    changes: Arc<ChangeLock>,
}

/// What all stripes of a bucket have in common, in memory of this process.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    /// Clock time at which the bucket was made.
    pub(super) epoch_ns: u64,
    pub(super) clock: &'a Clock,
    pub(super) warm_up: Option<WarmUp>,
    /// Whether this process's decisions are.
    pub(super) enforced: bool,
    pub(super) changes: &'a Arc<ChangeLock>,
}

/// Too many lost races: nothing was changed.
#[derive(Debug)]
#[must_use]
pub(super) struct GaveUp;

/// Ticks take over this long after the end of a ramp, so that no rounding lets them decide before it.
const WARM_MARGIN_NS: u64 = 1_000;

impl BucketState {
    /// The next part of `room`: full with `quota` if it is new, else as it stands.
    pub(super) fn in_room(
        room: &mut ObjectAllocator,
        quota: &Quota,
        setting: &Setting<'_>,
    ) -> Result<Self, ConfigError> {
        let &Setting { epoch_ns, clock, warm_up, enforced, changes } = setting;
        let tsc = clock.tsc();
        let ticks_at = |ns| tsc.map_or(0, |tsc| tsc.ticks_at(ns));
        let epoch_ticks = ticks_at(epoch_ns);
        let not_by_ticks = match warm_up {
            _ if !enforced => u64::MAX,
            None => 0,
            Some(ramp) => {
                let end = epoch_ns.saturating_add(ramp.period_ns()).saturating_add(WARM_MARGIN_NS);
                ticks_at(end).saturating_sub(epoch_ticks)
            }
        };
        // Zeroes: the word of a full bucket by slot 0.
        let shared = room.one::<Shared>()?;
        if room.is_fresh() {
            shared.slots[0].write(quota, &Scale::of(quota), tsc);
        }
        let warm_up = warm_up.unwrap_or(WarmUp::NONE);
        let (clock, changes) = (clock.clone(), changes.clone());
        Ok(Self { shared, clock, epoch_ns, epoch_ticks, not_by_ticks, warm_up, changes })
    }

    /// Takes `n` tokens at the counter's time. `None`: this needs a closer look by [`acquire`](Self::acquire).
    #[inline]
    pub(super) fn acquire_by_ticks(&self, clock: &Clock, n: u32) -> Option<bool> {
        let mut raw = self.load();
        // The clock is read after the word, so `now` is at least as new as what it is compared with.
        let since = clock.ticks()?.saturating_sub(self.epoch_ticks);
        if since < self.not_by_ticks || self.shared.watch.is_set() {
            return None;
        }
        for _ in 0..PATIENCE {
            let word = Word::unpack(raw);
            let slot = self.shared.slots[word.slot].by_ticks()?;
            let now = slot.moment(since);
            let charged = if n == 1 {
                gcra::charge_within(word.tat, now, slot.token, slot.capacity)
            } else {
                gcra::charge(word.tat, now, slot.token.saturating_mul(n.into()), slot.capacity)
            };
            let Some(tat) = charged else {
                // Debt, a penalty and a bad reading lie beyond an empty bucket.
                return (word.tat <= now.units.wrapping_add(slot.capacity)).then_some(false);
            };
            if n == 0 || tat > MAX_UNITS {
                return None;
            }
            let new = Word { tat, penalty: false, slot: word.slot }.pack();
            // AcqRel: releases this charge to whoever reads the word next. Acquire on failure: as the load above.
            match self.shared.word.compare_exchange_weak(raw, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(true),
                Err(current) => raw = current,
            }
        }
        Some(false)
    }

    /// Takes `n` tokens at `now_ns`.
    pub(super) fn acquire(&self, now_ns: u64, n: u32) -> bool {
        self.update(now_ns, |view| {
            let tat = gcra::charge(view.word.tat, view.now, view.scale.cost(n), view.scale.capacity).ok_or(false)?;
            if n == 0 { Err(true) } else { Ok((Word { tat, penalty: false, ..view.word }, true)) }
        })
        .unwrap_or(false)
    }

    /// Takes `n` tokens at `now_ns` and tells what is left.
    pub(super) fn check(&self, now_ns: u64, n: u32) -> Decision {
        self.charge(now_ns, n).0
    }

    /// [`check`](Self::check) that also tells what it charged, if anything.
    #[inline]
    pub(super) fn charge(&self, now_ns: u64, n: u32) -> (Decision, Option<Charge>) {
        self.update(now_ns, |view| {
            let cost = view.scale.cost(n);
            let charged = gcra::charge(view.word.tat, view.now, cost, view.scale.capacity);
            let decision = self.told(view, charged, n, now_ns);
            match charged {
                Some(tat) if n > 0 => {
                    let word = Word { tat, penalty: false, ..view.word };
                    Ok((word, (decision, Some(Charge { word, cost, at: view.now.units }))))
                }
                _ => Err((decision, None)),
            }
        })
        .unwrap_or_else(|| (Decision { allowed: false, retry_after_ns: GAVE_UP_NS, ..self.look(now_ns, n) }, None))
    }

    /// What `check(n)` would say, with what is there now.
    pub(super) fn look(&self, now_ns: u64, n: u32) -> Decision {
        let view = self.seen(now_ns);
        let charged = gcra::charge(view.word.tat, view.now, view.scale.cost(n), view.scale.capacity);
        let decision = self.told(&view, charged.map(|_| view.word.tat), n, now_ns);
        Decision { remaining: view.remaining(view.word.tat), ..decision }
    }

    fn told(&self, view: &View, charged: Option<u64>, n: u32, now_ns: u64) -> Decision {
        let decision = view.decision(charged, n);
        // `n` is more than is open. What is not open yet can be had once it is, and the bucket is full.
        if decision.retry_after_ns == NEVER {
            let opens_in = self.opens_in(now_ns, n);
            let retry_after_ns = opens_in.map_or(NEVER, |opens_in| opens_in.max(decision.reset_after_ns));
            return Decision { retry_after_ns, ..decision };
        }
        decision
    }

    /// Nanoseconds until `n` tokens of the burst are open. `None`: more than the whole.
    #[cold]
    pub(super) fn opens_in(&self, now_ns: u64, n: u32) -> Option<u64> {
        self.warm_up.opens_in(now_ns.saturating_sub(self.epoch_ns), self.burst(), n)
    }

    /// The burst of the quota in force.
    pub(super) fn burst(&self) -> u32 {
        self.shared.slots[Word::unpack(self.load()).slot].burst()
    }

    /// Gives `n` tokens back, never above full.
    pub(super) fn refund(&self, now_ns: u64, n: u32) {
        self.update(now_ns, |view| {
            if n == 0 || view.word.tat <= view.now.units || view.in_penalty() {
                return Err(());
            }
            let tat = view.word.tat.saturating_sub(view.scale.cost(n)).max(view.now.units);
            self.note_giving_back();
            self.note_overhang(view.word.tat);
            self.note_lower(view.word.tat, tat);
            Ok((Word { tat, penalty: false, ..view.word }, ()))
        });
    }

    /// Nothing before `now_ns + wait_ns`, then from empty.
    pub(super) fn penalize(&self, now_ns: u64, wait_ns: u64) {
        let note = || self.shared.penalised.note(now_ns, wait_ns);
        // Also before the word is looked at: from here on nothing that such a wait could have put is impossible.
        note();
        self.update(now_ns, |view| {
            note();
            let end = self.moment(&view.scale, now_ns.saturating_add(wait_ns));
            let tat = (end.units + end.inexact).saturating_add(view.whole).min(MAX_UNITS);
            if tat <= view.word.tat && view.in_penalty() {
                return Err(());
            }
            Ok((Word { tat: tat.max(view.word.tat), penalty: true, ..view.word }, ()))
        });
    }

    /// Full again, and nothing that was told has to be kept. Only under the quota lock.
    pub(super) fn reset(&self, now_ns: u64) -> Result<(), GaveUp> {
        let slot = Word::unpack(self.load()).slot;
        // Foreign bytes in an arena are no quota, and have no level to reset.
        let Some(quota) = self.shared.slots[slot].quota() else { return Ok(()) };
        // Before the exchange, see `Reach`.
        let reaches = [&self.shared.booked, &self.shared.penalised].map(|reach| (reach, reach.forget()));
        let done = self.change(now_ns, &quota, |_, new| (new.now.units, false));
        match done {
            Ok(()) => self.shared.watch.clear(),
            Err(GaveUp) => reaches.into_iter().for_each(|(reach, there)| reach.remember(there)),
        }
        done
    }

    /// Another quota, the same level. Only under the quota lock.
    pub(super) fn set_quota(&self, now_ns: u64, quota: &Quota) -> Result<(), GaveUp> {
        let old = self.view(self.load(), now_ns);
        if old.is_late() && self.is_too_fine(old.raw) {
            self.renew_held(now_ns);
        }
        self.change(now_ns, quota, |view, next| {
            let (scale, now) = (&next.scale, next.now);
            if view.in_penalty() {
                let left = view.scale.ns((view.word.tat - view.whole).saturating_sub(view.now.units));
                let end = now.units.saturating_add(scale.units(left)).saturating_add(next.whole);
                return (end.min(MAX_UNITS), true);
            }
            let (old, new) = (i128::from(view.scale.token.max(1)), i128::from(scale.token));
            let (old_burst, burst) = (i128::from(view.burst), i128::from(next.burst));
            let deficit = gcra::deficit(view.word.tat, view.now);
            // What neither an empty bucket nor what was told accounts for is a clock that stepped back. It stays time:
            // as tokens of a fast rate it would be years at a slow one.
            let told = view.scale.units(self.reach(now_ns).saturating_sub(now_ns));
            let skew = deficit.saturating_sub(view.scale.capacity.saturating_add(told));
            let deficit = i128::from(deficit - skew);
            // ceil(deficit * new / old): rounded towards fewer tokens.
            let deficit = (deficit * new + old - 1) / old + (burst - old_burst) * new;
            let deficit = u64::try_from(deficit.max(0)).unwrap_or(MAX_UNITS);
            // A debt may take longer to pay at the new rate, and is no bad reading for that.
            self.note_booked(now_ns, scale.ns(deficit.saturating_sub(scale.capacity)));
            let tat = now.units.saturating_add(scale.units(view.scale.ns(skew))).saturating_add(deficit);
            (tat.min(MAX_UNITS), false)
        })
    }

    /// Puts any bytes into the word, as a hostile process could.
    #[cfg(all(test, not(loom)))]
    pub(super) fn scribble(&self, word: u64) {
        // Relaxed: tests only.
        self.shared.word.store(word, Ordering::Relaxed);
    }

    /// What a decision looks at.
    pub(super) fn seen(&self, now_ns: u64) -> View {
        let view = self.view(self.load(), now_ns);
        if view.is_late() && self.renew(view.raw, now_ns) { self.view(self.load(), now_ns) } else { view }
    }

    /// Units that are too fine for the bucket's age are made coarser: of the same quota, with the same moment at which
    /// it is full. Whether those that `raw` is in were.
    ///
    /// Once in years, under the lock of changes.
    #[cold]
    #[inline(never)]
    fn renew(&self, raw: u64, now_ns: u64) -> bool {
        // Without the lock (only an arena's can be refused) time stands still at the end of what the units can say.
        self.is_too_fine(raw) && self.changes.lock().is_ok_and(|_held| self.renew_held(now_ns))
    }

    fn is_too_fine(&self, raw: u64) -> bool {
        !self.shared.slots[Word::unpack(raw).slot].scale().is_lasting()
    }

    /// Only under the lock.
    fn renew_held(&self, now_ns: u64) -> bool {
        let raw = self.load();
        if !self.is_too_fine(raw) {
            return true;
        }
        let Some(quota) = self.shared.slots[Word::unpack(raw).slot].quota() else { return false };
        let lasting = Scale::lasting(&quota);
        // A token is dearer by what it was rounded up: the same time to full would be fewer of them.
        let more = lasting.capacity.saturating_sub(lasting.moment(Scale::of(&quota).fill_ns()).units);
        let renewed = self.change_to(now_ns, (&quota, &lasting), |view, _| {
            let full = lasting.units(view.scale.ns(view.word.tat)).saturating_add(more);
            (full.min(MAX_UNITS), view.word.penalty)
        });
        renewed.is_ok()
    }

    /// Writes the next slot, then moves the word there: whoever decided by the old slot loses its exchange, and a
    /// setter that dies before the exchange has published nothing.
    ///
    /// Errors: the word is as it was (tickets and receipts are void all the same).
    fn change(&self, now_ns: u64, quota: &Quota, level: impl Fn(&View, &View) -> (u64, bool)) -> Result<(), GaveUp> {
        let scale = Scale::at_age(quota, now_ns.saturating_sub(self.epoch_ns));
        self.change_to(now_ns, (quota, &scale), level)
    }

    fn change_to(
        &self,
        now_ns: u64,
        (quota, scale): (&Quota, &Scale),
        level: impl Fn(&View, &View) -> (u64, bool),
    ) -> Result<(), GaveUp> {
        let next = (Word::unpack(self.load()).slot + 1) % self.shared.slots.len();
        self.shared.slots[next].write(quota, scale, self.clock.tsc());
        // Release: before the word, see `generation`.
        self.shared.generation.fetch_add(1, Ordering::Release);
        // After the generation, see `cancel`. No ticket of before is valid, and who lowers the word after raises the
        // overhang again.
        self.shared.bookings.changing(|| self.forget_bookings());
        let new = self.view(Word { tat: 0, penalty: false, slot: next }.pack(), now_ns);
        let changed = self.exchange::<_, false>(
            || now_ns,
            |view| {
                let (tat, penalty) = level(view, &new);
                // As what lowers the word: where a booking left it before says nothing of the new one, nor in its
                // units.
                let given_back = self.note_giving_back();
                self.lower_tail(0);
                Ok((Word { tat, penalty, slot: next }, (tat, given_back)))
            },
        );
        changed.map(|(tat, given_back)| self.raise_tail(tat, given_back)).ok_or(GaveUp)
    }

    /// Applies `step` until its exchange wins; `None`: it lost too many in a row. `step` answers `Ok` to store
    /// a word, `Err` to leave all as it is.
    #[inline]
    pub(super) fn update<T>(&self, now_ns: u64, step: impl Fn(&View) -> Result<(Word, T), T>) -> Option<T> {
        self.update_by(|| now_ns, step)
    }

    /// [`update`](Self::update) by a clock that is read after the word, so that it is no older than any charge in it.
    #[inline]
    pub(super) fn update_by<T>(
        &self,
        now_ns: impl Fn() -> u64,
        step: impl Fn(&View) -> Result<(Word, T), T>,
    ) -> Option<T> {
        self.exchange::<_, true>(now_ns, step)
    }

    /// `RENEWS`: where the lock of changes is not held.
    #[inline]
    fn exchange<T, const RENEWS: bool>(
        &self,
        now_ns: impl Fn() -> u64,
        step: impl Fn(&View) -> Result<(Word, T), T>,
    ) -> Option<T> {
        let mut raw = self.load();
        for _ in 0..PATIENCE {
            let view = self.view(raw, now_ns());
            if RENEWS && view.is_late() && self.renew(raw, now_ns()) {
                raw = self.load();
                continue;
            }
            // A bad reading is stored as the empty bucket that it reads as, so that it can refill from here.
            let healed = view.word.pack() != raw;
            self.watch(&view, healed);
            if healed {
                self.void_behind();
            }
            let (word, answer) = match step(&view) {
                Ok((word, answer)) => (word, answer),
                Err(answer) if healed => (view.word, answer),
                Err(answer) => return Some(answer),
            };
            // AcqRel: releases what this operation did to whoever reads the word next. Acquire on failure: as `load`.
            match self.shared.word.compare_exchange_weak(view.raw, word.pack(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) if healed => {
                    self.is_healed(now_ns());
                    return Some(answer);
                }
                Ok(_) => return Some(answer),
                Err(current) => raw = current,
            }
        }
        None
    }

    /// A change of quota raises it before it publishes its word: what still matches here after the word was read either
    /// belongs to this word's units or loses the exchange.
    #[inline]
    pub(super) fn generation(&self) -> u32 {
        // Acquire: what is read after it is no older; pairs with the release in `change`.
        self.shared.generation.load(Ordering::Acquire)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn bookings(&self) -> &Bookings {
        &self.shared.bookings
    }

    /// Whether a reading has noted that the word lies impossibly far ahead.
    pub(super) fn is_told_against(&self) -> bool {
        self.shared.watch.is_set()
    }

    /// Notes that the word lies impossibly far ahead, or that it does not.
    #[inline]
    fn watch(&self, view: &View, healed: bool) {
        if let Some(ns) = view.behind {
            self.shared.watch.note(ns);
        } else if !healed {
            self.shared.watch.clear();
        }
    }

    /// To be read before a charge, and again before it is taken back.
    #[inline]
    pub(super) fn given_back(&self) -> u32 {
        // Acquire: before a charge, so that it is read before the word; later, so that it is no older than the word
        // read before.
        self.shared.given_back.load(Ordering::Acquire)
    }

    /// Between the load of a word and the exchange that lowers it, at each attempt: whoever charged before that load
    /// has read a smaller count, and whoever sees the lowered word sees this one, which is answered.
    #[inline]
    pub(super) fn note_giving_back(&self) -> u32 {
        // Relaxed: the acquire of the word before it and the release of the exchange after it order it.
        self.shared.given_back.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// To be called before the exchange that books until then, at each attempt: who was told a time keeps it, also
    /// where a bad reading has covered the word since and that heals.
    pub(super) fn note_booked(&self, now_ns: u64, wait_ns: u64) {
        self.shared.booked.note(now_ns, wait_ns);
    }

    /// Until when anything lasts that was told, as of `ns`.
    fn reach(&self, ns: u64) -> u64 {
        self.shared.booked.at(ns).max(self.shared.penalised.at(ns))
    }

    /// A bad reading's word was stored as what it reads as.
    #[cold]
    fn is_healed(&self, now_ns: u64) {
        self.shared.watch.clear();
        let ns = self.clock.now().max(now_ns);
        self.shared.booked.bound(ns);
        self.shared.penalised.bound(ns);
    }

    /// To be called before an exchange that lowers the word from `tat`, unless that takes out nothing but the last
    /// booking. Too high only gives less back.
    pub(super) fn note_overhang(&self, tat: u64) {
        // AcqRel: before the exchange that follows publishes it. Even where it raises nothing: what erases it knows of
        // all bookings that it tells of.
        self.shared.overhang.fetch_max(tat, Ordering::AcqRel);
    }

    /// What [`note_overhang`](Self::note_overhang) was told since the last change of quota or reset.
    pub(super) fn overhang(&self) -> u64 {
        // Acquire: pairs with the release of who erases it, so that whoever sees that sees the era and the generation.
        self.shared.overhang.load(Ordering::Acquire)
    }

    /// The furthest `tat` up to which bookings are known to have been due, at `tat`, which the word has.
    ///
    /// A clock may step back, so that what was due once seems not to be. To give it back then would mint: by the
    /// reading at which it was due, others were charged for what it left them. A charge that waits for nothing and
    /// leaves the word at some `tat` is made a burst before that at the earliest, when all bookings up to it are due.
    /// So what must be known is the furthest `tat` that such a charge left.
    ///
    /// Decisions note nothing. They are known by `tail`, where the word was when a booking or what lowers it was
    /// through: whoever finds the word beyond it knows that a charge was made. A booking raises `tail` after its
    /// exchange, what lowers the word lowers it before its own and after: too low, it only gives less back.
    pub(super) fn was_due(&self, tat: u64) -> u64 {
        // Acquire, both: no older than the word, which was read before.
        let (tail, was_due) = (self.shared.tail.load(Ordering::Acquire), self.shared.was_due.load(Ordering::Acquire));
        if tat > tail { was_due.max(tat) } else { was_due }
    }

    /// Notes a charge that waited for nothing, if that is what left the word at `tat`. Between its load and the
    /// exchange of a booking or of what lowers it.
    pub(super) fn note_due(&self, tat: u64) {
        // Relaxed: read after the word, which was acquired.
        if tat > self.shared.tail.load(Ordering::Relaxed) {
            // AcqRel: before the exchange that follows publishes it.
            self.shared.was_due.fetch_max(tat, Ordering::AcqRel);
        }
    }

    /// To be called before an exchange that lowers the word, and after it with what it was lowered to.
    pub(super) fn note_lower(&self, from: u64, to: u64) {
        self.note_due(from);
        self.lower_tail(to);
    }

    pub(super) fn lower_tail(&self, to: u64) {
        // AcqRel: before the exchange that follows publishes it.
        self.shared.tail.fetch_min(to, Ordering::AcqRel);
    }

    /// After an exchange that left the word at `tat` without a charge that waited for nothing. `given_back`: as it was
    /// before the word was read; where it is another, the word has been lowered since, perhaps.
    pub(super) fn raise_tail(&self, tat: u64, given_back: u32) {
        if self.given_back() == given_back {
            let before = self.shared.tail.fetch_max(tat, Ordering::AcqRel);
            if self.given_back() != given_back {
                self.lower_tail(before);
            }
        }
    }

    /// The word was a bad reading's, and so is what its tickets and their like say of it. A thread that is held up in
    /// here may find another word, and what is noted of its bookings: then those are void too.
    #[cold]
    fn void_behind(&self) {
        self.shared.bookings.voiding(|| self.forget_bookings());
    }

    fn forget_bookings(&self) {
        // AcqRel, both: before the tickets are made void, and after the bookings of which anything is erased.
        self.shared.overhang.swap(0, Ordering::AcqRel);
        self.shared.was_due.swap(0, Ordering::AcqRel);
        // Whoever finds the new word notes that, in its own units.
        self.lower_tail(0);
    }

    #[inline]
    pub(super) fn load(&self) -> u64 {
        // Acquire: pairs with the release of `update`, so that the slot is at least as new as the word.
        load_for_cas(&self.shared.word)
    }

    #[inline]
    pub(super) fn view(&self, raw: u64, now_ns: u64) -> View {
        let (mut word, mut behind) = (Word::unpack(raw), None);
        let slot = &self.shared.slots[word.slot];
        let (mut scale, mut burst) = (slot.scale(), slot.burst());
        let (now, whole) = (self.moment(&scale, now_ns), scale.capacity);
        let since = now_ns.saturating_sub(self.epoch_ns);
        if !self.warm_up.is_over(since) {
            // Both the burst and the rate are the ramp's part of the whole: fewer, dearer tokens fill the bucket in the
            // same time. Rounded up to whole tokens, or the last of a burst would be missing.
            burst = self.warm_up.burst(since, burst);
            scale.token = whole.div_ceil(u64::from(burst)).max(1);
            scale.capacity = scale.token.saturating_mul(u64::from(burst));
        }
        if word.tat > now.units.saturating_add(scale.capacity) {
            (word, behind) = self.heal(word, &scale, now_ns);
        }
        View { raw, word, scale, burst, whole, now, behind }
    }

    /// A word further ahead than anything that was told accounts for is taken for a bad reading, but not by this
    /// reading alone, which may be a late thread's: see [`Watch`]. Until then it stands, and the reading is answered,
    /// to be noted. A word that heals reads as a bucket that is empty when all that was told is over.
    ///
    /// The clock is read again, after the word: a late thread of this clock finds the word plausible then, however late
    /// it is.
    #[cold]
    fn heal(&self, word: Word, scale: &Scale, now_ns: u64) -> (Word, Option<u64>) {
        let ns = self.clock.now().max(now_ns);
        let due = self.moment(scale, self.reach(ns).max(ns));
        let empty = (due.units + due.inexact).saturating_add(scale.capacity);
        if word.tat <= empty.saturating_add(scale.units(BAD_READING_NS)) {
            return (word, None);
        }
        if !self.shared.watch.has_lasted(ns) {
            return (word, Some(ns));
        }
        (Word { tat: empty.min(MAX_UNITS), ..word }, None)
    }

    #[inline]
    fn moment(&self, scale: &Scale, now_ns: u64) -> Moment {
        scale.moment(now_ns.saturating_sub(self.epoch_ns))
    }
}
