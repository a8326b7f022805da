//! What a limiter and its listeners share: the places, and the queue of those who wait for one.
//!
//! Whoever frees a place and finds somebody waiting takes it, or another, for the next in the queue, the longest
//! waiting or the last to have come: the queue's lock makes that an order. A waiter announces itself, then has the
//! queue served once; a release frees its place, then looks for the announcement. In the one order of both, one of
//! them comes second and finds the other.
//!
//! In a named scope a queue takes a place only when it is its turn, see `turns.rs`; a place that is left to others
//! wakes nobody here. So whoever waits in a named scope looks again by itself, or is `deaf` and says so: a queue with
//! such a one takes what it frees, as it would sleep for ever otherwise.
//!
//! Where a limit has partitions, each has an order of its own in the queue. First served are those who are within their
//! partition's guarantee, whose turn it always is; then the others, by priority. A queue that has nothing for a
//! partition says so as a demand: see `lending.rs`.

use super::adaptive::{Estimate, Outcome, stamp};
use super::lending::{Asked, ByPartition, Lending};
use super::owners::Owners;
use super::partition::Partition;
use super::permit_slots::{Full, OwnerIn, PermitSlots, owner_in};
use super::turns::{self, Seat, Turns, Waiting};
use super::{ConcurrencyConfig, ConcurrencyPermit, WaitOrder};
use crate::counters::Striped;
use crate::memory::{ObjectAllocator, SharedSlice};
use crate::mode::Mode;
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, in_order};
use crate::sys::{PerProcess, generation};
use crate::wait::WaitList;
use crate::{Clock, ConfigError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::task::Waker;
use std::time::Duration;

pub(super) const ADMITTED: usize = 0;
/// Calls that did not wait.
pub(super) const REFUSED: usize = 1;
pub(super) const WOULD_DENY: usize = 2;
pub(super) const TIMED_OUT: usize = 3;
pub(super) const CANCELLED: usize = 4;
const COUNTS: usize = 5;

/// A queue's word of its own among the notes; see [`Shared::notes`].
const NOTES: usize = 8;
const LONGEST_WAIT: usize = 0;
/// With partitions, a place that is kept becomes everybody's by the passing of time, which wakes nobody: how often the
/// first of a partition looks, and those behind it, where releases wake them.
const LOOK: Duration = Duration::from_millis(100);
const LOOK_BEHIND: Duration = Duration::from_secs(1);
/// How often another's longer wait may upset the note of one's own.
const PATIENCE: usize = 100;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) places: PermitSlots,
    pub(super) owners: Owners,
    pub(super) mode: Mode,
    /// How many may wait.
    max_waiting: usize,
    order: WaitOrder,
    pub(super) clock: Clock,
    pub(super) counts: Striped<COUNTS>,
    /// The longest wait that has ended, ns.
    notes: SharedSlice<AtomicU64>,
    /// Of an adaptive limit.
    pub(super) estimate: Option<Estimate>,
    /// Of a limit with partitions.
    pub(super) lending: Option<Lending>,
    /// In a named scope: the order among queues, for each rank of partitions.
    turns: Vec<Turns>,
    /// This process's generation while somebody waits in it, or 0. A child of fork finds its parent's: who waits there
    /// is none of its own, and nothing that is given back here would ever end that wait.
    waiting: AtomicU64,
    /// The same by partition, where there are some.
    waiting_in: ByPartition<AtomicU64>,
    queue: PerProcess<Mutex<WaitQueue>>,
}

#[derive(Debug, Default)]
struct WaitQueue {
    waiting: WaitList,
    /// When those who wait came.
    since: BTreeMap<u64, u64>,
    /// Those who wait for their waker alone.
    deaf: BTreeSet<u64>,
    /// Those who wait for a partition, where there are some.
    of: ByPartition<BTreeSet<u64>>,
    /// Permits that waiters have been given and not fetched.
    grants: BTreeMap<u64, ConcurrencyPermit>,
    /// When the queue last began, or somebody was served.
    moved: u64,
    /// By rank.
    seats: ByPartition<Option<Seat>>,
}

impl WaitQueue {
    fn forget(&mut self, id: u64) {
        self.since.remove(&id);
        self.deaf.remove(&id);
        self.of.iter_mut().for_each(|of| {
            of.remove(&id);
        });
    }

    /// When its longest waiting came.
    fn longest_since(&self) -> Option<u64> {
        self.since.get(&self.waiting.first()?).copied()
    }

    /// Since when it waits for a place, by which queues come before one another. With the newest first, the oldest may
    /// never be served: it must not get its queue all places of others, so that being served counts as coming anew.
    fn waits_since(&self, order: WaitOrder) -> Option<u64> {
        self.longest_since().map(|longest| self.counted_from(longest, order))
    }

    fn counted_from(&self, longest: u64, order: WaitOrder) -> u64 {
        match order {
            WaitOrder::Fifo => longest,
            WaitOrder::Lifo => longest.max(self.moved),
        }
    }

    /// The partitions for which somebody waits, with the time from which that counts, the longest first.
    fn partitions(&self, order: WaitOrder) -> Vec<(Partition, u64)> {
        let since = |of: &BTreeSet<u64>| self.since.get(of.first()?).map(|&since| self.counted_from(since, order));
        let numbered = |(number, of)| Some((Partition::numbered(number), since(of)?));
        let mut partitions: Vec<_> = self.of.iter().enumerate().filter_map(numbered).collect();
        partitions.sort_by_key(|&(_, since)| since);
        partitions
    }

    /// Who of a partition is served next.
    fn next_in(&self, partition: Partition, order: WaitOrder) -> Option<u64> {
        let of = self.of.get(partition.index())?;
        match order {
            WaitOrder::Fifo => of.first().copied(),
            WaitOrder::Lifo => of.last().copied(),
        }
    }

    /// Who is served next.
    fn next(&self, order: WaitOrder) -> Option<u64> {
        match order {
            WaitOrder::Fifo => self.waiting.first(),
            WaitOrder::Lifo => self.waiting.last(),
        }
    }
}

/// A place in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) id: u64,
    pub(super) since: u64,
    pub(super) partition: Partition,
}

impl Shared {
    /// The next parts of `room`.
    pub(super) fn in_room(
        room: &mut ObjectAllocator,
        config: &ConcurrencyConfig,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let owners = Owners::of(room);
        Ok(Self {
            places: room
                .sized_by(config.sized_by(), |room| PermitSlots::lay_out(room, config.limit, config.places()))?,
            counts: Striped::in_room(room)?,
            notes: room.cells(NOTES)?,
            turns: {
                let ranks = if config.partitions.is_empty() { 1 } else { config.partitions.len() + 1 };
                let ranks = if owners.is_shared() { ranks } else { 0 };
                (0..ranks).map(|_| Turns::lay_out(room)).collect::<Result<_, _>>()?
            },
            estimate: config.adaptive.map(|adaptive| Estimate::in_room(room, &adaptive, &clock)).transpose()?,
            lending: match config.partitions.is_empty() {
                true => None,
                false => Some(Lending::lay_out(room, config.partitions)?),
            },
            owners,
            mode: config.mode,
            max_waiting: config.max_waiting.map_or(usize::MAX, |most| most as usize),
            order: config.order,
            clock,
            waiting: AtomicU64::new(0),
            waiting_in: std::array::from_fn(|_| AtomicU64::new(0)),
            queue: PerProcess::new(),
        })
    }

    /// A permit for one who waits without a line, and so looks at the places himself: another may have freed one and
    /// not have said so yet. Counts nothing.
    fn look_for_one(&self) -> Option<ConcurrencyPermit> {
        let owner = self.owners.join()?;
        match self.places.take(owner) {
            Ok(permit) => Some(permit),
            Err(full) => self.attempt_again(owner, full).map(ConcurrencyPermit::together),
        }
    }

    /// A permit that is to be had at once. Counts nothing.
    #[inline(always)]
    pub(super) fn attempt(&self) -> Option<ConcurrencyPermit> {
        let owner = self.owners.join()?;
        match self.places.take_at_once(owner) {
            Ok(permit) => Some(permit),
            Err(full) => self.attempt_again(owner, full).map(ConcurrencyPermit::together),
        }
    }

    /// The same for a call of a partition. Counts nothing but what is demanded.
    #[inline(always)]
    pub(super) fn attempt_in(&self, partition: Partition, asked: Asked) -> Option<ConcurrencyPermit> {
        match &self.lending {
            None if asked == Asked::Once => self.attempt(),
            None => self.look_for_one(),
            Some(lending) => self.attempt_by(lending, partition, asked),
        }
    }

    fn attempt_by(&self, lending: &Lending, partition: Partition, asked: Asked) -> Option<ConcurrencyPermit> {
        let owner = self.owner_in(partition)?;
        let take = || self.take_and_tell(lending, owner, false);
        take().or_else(|| self.reclaim().then(take)?).or_else(|| {
            // Said first, then looked once more: what becomes free after this refusal is kept.
            self.demand(lending, partition, asked);
            take()
        })
    }

    /// Whether a call of the partition would have a place now, by a look.
    pub(super) fn has_room_for(&self, partition: Partition) -> bool {
        match &self.lending {
            Some(lending) => {
                lending.has_room_for(&self.places, partition, self.clock.now(), |of| self.is_waited_for_in(of))
            }
            None => self.places.has_more_than(0),
        }
    }

    fn take_and_tell(&self, lending: &Lending, owner: OwnerIn, is_guaranteed: bool) -> Option<ConcurrencyPermit> {
        let (permit, disturbed) = self.take_in(lending, owner, is_guaranteed);
        if disturbed {
            // Somebody may have found the place taken that was not.
            self.notify_waiters();
        }
        permit
    }

    fn owner_in(&self, partition: Partition) -> Option<OwnerIn> {
        Some(OwnerIn { owner: self.owners.join()?, partition })
    }

    fn take_in(&self, lending: &Lending, owner: OwnerIn, is_guaranteed: bool) -> (Option<ConcurrencyPermit>, bool) {
        lending.take(&self.places, owner, is_guaranteed, || self.clock.now(), |of| self.is_waited_for_in(of))
    }

    fn demand(&self, lending: &Lending, partition: Partition, asked: Asked) {
        lending.demand(&self.places, partition, asked, self.clock.now(), |of| self.is_waited_for_in(of));
    }

    /// A permit within the partition's guarantee, for which neither turns nor those who wait for others matter.
    pub(super) fn attempt_guaranteed(&self, partition: Partition) -> Option<ConcurrencyPermit> {
        let lending = self.lending.as_ref().filter(|_| partition != Partition::default())?;
        if self.is_waited_for_in(partition.index()) {
            return None;
        }
        self.take_and_tell(lending, self.owner_in(partition)?, true)
    }

    /// Whether who waits has to look by itself: releases of others wake nobody here, or a place may be kept.
    pub(super) fn is_looked_at(&self) -> bool {
        self.owners.is_shared() || self.lending.is_some()
    }

    /// Whether somebody waits for a place of the partition in this process.
    pub(super) fn is_waited_for_in(&self, number: usize) -> bool {
        self.waiting_in.get(number).is_some_and(is_this_process)
    }

    /// Counts a call of a partition beside the limit's own counts.
    #[inline]
    pub(super) fn count_in(&self, what: usize, partition: Partition) {
        if let Some(lending) = &self.lending {
            lending.count(what, partition);
        }
    }

    /// When an adaptive limit is asked, if this call is measured; else 0.
    #[inline(always)]
    pub(super) fn asked(&self) -> u64 {
        match &self.estimate {
            Some(estimate) if estimate.measures() => self.asked_now(),
            _ => 0,
        }
    }

    /// Out of line, as the rest of what is done for a measured call: it would crowd the path of the others.
    #[inline(never)]
    fn asked_now(&self) -> u64 {
        stamp(self.clock.now())
    }

    /// The same for one who asked before.
    pub(super) fn asked_at(&self, ns: u64) -> u64 {
        self.estimate.as_ref().filter(|estimate| estimate.measures()).map_or(0, |_| stamp(ns))
    }

    /// The permit with the time of its asking.
    #[inline(always)]
    pub(super) fn stamped(&self, permit: ConcurrencyPermit, asked: u64) -> ConcurrencyPermit {
        match &self.estimate {
            Some(estimate) if asked != 0 => {
                estimate.admitted(&self.places);
                permit.stamped(asked)
            }
            _ => permit,
        }
    }

    /// Somebody is refused, or waits.
    #[inline(always)]
    pub(super) fn saturated(&self) {
        if let Some(estimate) = &self.estimate
            && estimate.saturated(&self.places, &self.clock, self.is_full())
        {
            self.notify_waiters();
        }
    }

    /// What became of a call whose permit has been given back.
    pub(super) fn report(&self, permit: ConcurrencyPermit, outcome: Outcome, latency: Option<u64>) {
        let Some(estimate) = &self.estimate else { return };
        if self.is_waited_for() && self.is_full() {
            estimate.mark_saturated();
        }
        if estimate.report(&self.places, &self.clock, permit.stamp(), outcome, latency) {
            self.notify_waiters();
        }
    }

    /// Whether nothing is free, where somebody was refused or waits: a place may be kept for a partition.
    fn is_full(&self) -> bool {
        self.lending.is_none() || !self.places.has_more_than(0)
    }

    #[inline(never)]
    fn attempt_again(&self, owner: u64, full: Full) -> Option<(u64, u32)> {
        if full == Full::Disturbed {
            // Somebody may have found the place taken that was not.
            self.notify_waiters();
        }
        self.reclaim().then(|| self.places.take(owner).ok().map(ConcurrencyPermit::apart))?
    }

    /// Gives a permit back, if it is this process's and has not been given back.
    #[inline(always)]
    pub(super) fn give_back(&self, permit: ConcurrencyPermit) -> bool {
        let given = self.owners.present() == Some(owner_in(permit.word)) && self.places.give_back(permit);
        if given {
            self.notify_waiters();
        }
        given
    }

    /// After a place has become free.
    #[inline(always)]
    pub(super) fn notify_waiters(&self) {
        if self.is_waited_for() {
            self.serve();
        }
    }

    /// Whether somebody waits.
    #[inline(always)]
    pub(super) fn is_waited_for(&self) -> bool {
        is_this_process(&self.waiting)
    }

    /// Whether what is free is for queues of others, as far as somebody is concerned who comes now and has no queue.
    #[inline(always)]
    pub(super) fn is_others_turn(&self, partition: Partition) -> bool {
        self.turns.get(self.rank(partition)).is_some_and(|turns| {
            turns.are_any(|| self.clock.now()) && {
                let now = self.clock.now();
                !self.is_turn(turns, None, now, now)
            }
        })
    }

    /// Whose turns a call waits for.
    fn rank(&self, partition: Partition) -> usize {
        self.lending.as_ref().map_or(0, |lending| lending.partitions.rank(partition))
    }

    /// Whether a place is free, beside one for each queue that comes before.
    #[inline(never)]
    fn is_turn(&self, turns: &Turns, seat: Option<Seat>, since: u64, now: u64) -> bool {
        match turns.ahead(seat, since, now) {
            0 => true,
            ahead => self.places.has_more_than(ahead),
        }
    }

    /// Frees the places of the dead, if it is time to look for them, or doubts that none is free; whether one is to be
    /// had now.
    #[cold]
    pub(super) fn reclaim(&self) -> bool {
        self.owners.reclaim(|is_gone| self.places.sweep(is_gone), || self.places.doubt_full())
    }

    /// Gives what is free to those who wait, in their order.
    #[cold]
    pub(super) fn serve(&self) {
        while let Some(waker) = self.grant() {
            // Outside the lock: it runs foreign code.
            waker.wake();
        }
    }

    /// Gives one free place to the next in the queue, if it is the queue's turn: whom to wake.
    fn grant(&self) -> Option<Waker> {
        let mut queue = self.lock();
        let served = self.grant_in(&mut queue);
        self.settle(&mut queue);
        served
    }

    fn grant_in(&self, queue: &mut WaitQueue) -> Option<Waker> {
        // Only a fork's parent may have waited.
        let since = queue.waits_since(self.order)?;
        if let Some(lending) = &self.lending {
            return self.grant_among(lending, queue);
        }
        if let Some(turns) = self.turns.first().filter(|_| queue.deaf.is_empty())
            && !self.is_turn(turns, queue.seats[0], since, self.clock.now())
        {
            return None;
        }
        let permit = self.places.take(self.owners.join()?).ok()?;
        let id = queue.next(self.order)?;
        self.hand_over(queue, id, permit)
    }

    /// The same among partitions.
    fn grant_among(&self, lending: &Lending, queue: &mut WaitQueue) -> Option<Waker> {
        let mut partitions = queue.partitions(self.order);
        if self.places.has_more_than(0) {
            let owners = partitions.iter().map(|&(partition, _)| (partition, true)).collect::<Vec<_>>();
            // By priority, and within a rank who waits longest.
            partitions.sort_by_key(|&(partition, _)| self.rank(partition));
            let now = self.clock.now();
            let has_turn = |&&(partition, since): &&(Partition, u64)| {
                let rank = self.rank(partition);
                let turns = self.turns.get(rank).filter(|_| queue.deaf.is_empty());
                turns.is_none_or(|turns| self.is_turn(turns, queue.seats[rank], since, now))
            };
            let others = partitions.iter().filter(has_turn).map(|&(partition, _)| (partition, false));
            let found = owners.into_iter().chain(others).find_map(|(partition, is_guaranteed)| {
                // Under the queue's lock, and looked again until there is nothing for anybody in it.
                let permit = self.take_in(lending, self.owner_in(partition)?, is_guaranteed).0?;
                Some((partition, permit))
            });
            if let Some((partition, permit)) = found {
                lending.renew(partition, now);
                let id = queue.next_in(partition, self.order)?;
                return self.hand_over(queue, id, permit);
            }
        }
        for (partition, _) in partitions {
            let waiting = queue.of[partition.index()].len();
            self.demand(lending, partition, Asked::Waiting(waiting as u32));
        }
        None
    }

    fn hand_over(&self, queue: &mut WaitQueue, id: u64, permit: ConcurrencyPermit) -> Option<Waker> {
        let waker = queue.waiting.remove(id)?;
        queue.forget(id);
        queue.grants.insert(id, permit);
        queue.moved = self.clock.now();
        Some(waker)
    }

    /// Joins the queue, unless as many wait as may. `deaf`: waits for its waker alone.
    pub(super) fn enqueue(&self, waker: Waker, deaf: bool, partition: Partition) -> Option<Ticket> {
        let since = self.clock.now();
        let id = {
            let mut queue = self.lock();
            // Under the lock, so that no two take the last place. Who has been given a permit waits no more, and who
            // leaves has left its place.
            let line = partition.index();
            let waiting = if self.lending.is_some() { queue.of[line].len() } else { queue.waiting.len() };
            if waiting >= self.max_waiting {
                drop(queue);
                self.saturated();
                return None;
            }
            if queue.waiting.is_empty() {
                queue.moved = since;
            }
            let id = queue.waiting.add(waker);
            queue.since.insert(id, since);
            if deaf {
                queue.deaf.insert(id);
            }
            if self.lending.is_some() {
                queue.of[line].insert(id);
                // SeqCst: as below.
                self.waiting_in[line].swap(generation().into(), Ordering::SeqCst);
            }
            // SeqCst: before the look for free places below; see the top.
            self.waiting.swap(generation().into(), Ordering::SeqCst);
            id
        };
        self.saturated();
        self.serve();
        Some(Ticket { id, since, partition })
    }

    /// Waits on with another waker.
    pub(super) fn rearm(&self, id: u64, waker: &Waker) {
        // Cloned before and dropped after the lock is held: both may run foreign code.
        let waker = waker.clone();
        let _replaced = self.lock().waiting.replace(id, waker);
    }

    /// The permit that this waiter has been given.
    pub(super) fn fetch(&self, id: u64) -> Option<ConcurrencyPermit> {
        self.lock().grants.remove(&id)
    }

    /// When this waiter is to look again.
    pub(super) fn pause(&self, ticket: Ticket) -> Duration {
        let Ticket { id, partition, .. } = ticket;
        let queue = self.lock();
        let of = queue.of.get(partition.index()).filter(|_| self.lending.is_some());
        let position = match (self.order, of) {
            (WaitOrder::Fifo, None) => queue.waiting.position(id, 5),
            (WaitOrder::Lifo, None) => queue.waiting.position_from_last(id, 5),
            (WaitOrder::Fifo, Some(of)) => of.range(..id).take(5).count(),
            (WaitOrder::Lifo, Some(of)) => of.range(id..).skip(1).take(5).count(),
        };
        if !self.owners.is_shared() {
            return if position == 0 { LOOK } else { LOOK_BEHIND };
        }
        turns::pause(position, self.clock.now().saturating_sub(queue.moved))
    }

    /// Leaves the queue; a permit that was given meanwhile goes to the next.
    pub(super) fn withdraw(&self, id: u64) {
        let (waker, grant) = {
            let mut queue = self.lock();
            let left = (queue.waiting.remove(id), queue.grants.remove(&id));
            queue.forget(id);
            self.settle(&mut queue);
            left
        };
        // Outside the lock: it may run foreign code.
        drop(waker);
        if let Some(permit) = grant {
            self.give_back(permit);
        }
    }

    /// How many wait now, and the longest wait so far, of those that have ended and those that have not.
    pub(super) fn waits(&self) -> (u64, Duration) {
        // Relaxed: a statistic orders nothing.
        let ended = self.notes.first().map_or(0, |longest| longest.load(Ordering::Relaxed));
        let now = self.clock.now();
        let queue = self.lock();
        let (mut count, mut longest) = (0_u64, Duration::ZERO);
        for turns in &self.turns {
            let (others, waited) = turns.waiting(now);
            (count, longest) = (count.saturating_add(others), longest.max(waited));
        }
        if queue.seats.iter().all(Option::is_none) {
            count = count.saturating_add(queue.waiting.len() as u64);
        }
        // A seat says less than that where the newest come first, and where it could not be had.
        let since = queue.longest_since().unwrap_or(now);
        longest = longest.max(Duration::from_nanos(now.saturating_sub(since)));
        (count, longest.max(Duration::from_nanos(ended)))
    }

    /// A wait has ended.
    pub(super) fn note_wait(&self, ticket: Ticket) {
        let waited = self.clock.now().saturating_sub(ticket.since);
        let Some(longest) = self.notes.get(LONGEST_WAIT) else { return };
        // Relaxed, all: a statistic orders nothing.
        let mut known = longest.load(Ordering::Relaxed);
        for _ in 0..PATIENCE {
            if known >= waited {
                return;
            }
            match longest.compare_exchange(known, waited, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => known = now,
            }
        }
    }

    /// Takes the announcement back when nobody is left, under the lock, so that it never hides a waiter; tells the
    /// other queues.
    fn settle(&self, queue: &mut WaitQueue) {
        if queue.waiting.is_empty() {
            // Relaxed: it only says that the queue is worth a look, and the queue has its lock.
            self.waiting.store(0, Ordering::Relaxed);
        }
        if self.lending.is_some() {
            for (_, waiting) in queue.of.iter().zip(&self.waiting_in).filter(|(of, _)| of.is_empty()) {
                // Relaxed: as above.
                waiting.store(0, Ordering::Relaxed);
            }
        }
        for (rank, turns) in self.turns.iter().enumerate() {
            // Who does not look must not keep others from a place.
            let waits = self.waits_of(rank, queue).filter(|_| queue.deaf.is_empty());
            let seat = queue.seats[rank].take();
            match waits {
                Some(waiting) => queue.seats[rank] = turns.announce(seat, waiting, self.clock.now()),
                None => seat.into_iter().for_each(|seat| turns.vacate(seat)),
            }
        }
    }

    /// Those of a rank who wait.
    fn waits_of(&self, rank: usize, queue: &WaitQueue) -> Option<Waiting> {
        if self.lending.is_none() {
            let since = queue.waits_since(self.order)?;
            return Some(Waiting { since, count: queue.waiting.len() as u64 });
        }
        let own = |&(partition, _): &(Partition, u64)| self.rank(partition) == rank;
        let waits = queue.partitions(self.order).into_iter().filter(own).map(|(partition, since)| {
            let count = queue.of[partition.index()].len() as u64;
            Waiting { since, count }
        });
        waits.reduce(|sum, one| Waiting { since: sum.since.min(one.since), count: sum.count + one.count })
    }

    fn lock(&self) -> MutexGuard<'_, WaitQueue> {
        // A waker's panic cannot leave the queue half changed: wakers are cloned, called and dropped outside the lock.
        self.queue.get().lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a mark of those who wait is this process's.
#[inline(always)]
fn is_this_process(mark: &AtomicU64) -> bool {
    let waiting = in_order(mark);
    waiting != 0 && waiting == u64::from(generation())
}
