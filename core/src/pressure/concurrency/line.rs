//! What a limiter and its listeners share: the places, and the line of those who wait for one.
//!
//! Whoever frees a place and finds somebody waiting takes it, or another, for the first in the line: the line's lock makes
//! that the order of arrival. A waiter announces itself, then has the line served once; a release frees its place, then looks
//! for the announcement. In the one order of both, one of them comes second and finds the other.

use super::ConcurrencyPermit;
use super::owners::Owners;
use super::places::{Full, Places, owner_in};
use crate::limit::Mode;
use crate::pressure::per_process::PerProcess;
use crate::pressure::wait_list::WaitList;
use crate::stats::Striped;
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, in_order};
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::task::Waker;

pub(super) const ADMITTED: usize = 0;
pub(super) const DENIED: usize = 1;
pub(super) const WOULD_DENY: usize = 2;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) places: Places,
    pub(super) owners: Owners,
    pub(super) mode: Mode,
    pub(super) counts: Striped<3>,
    /// 1 while somebody waits.
    waiting: AtomicU64,
    line: PerProcess<Mutex<Line>>,
}

#[derive(Debug, Default)]
struct Line {
    waiting: WaitList,
    /// Permits that waiters have been given and not fetched.
    grants: BTreeMap<u64, ConcurrencyPermit>,
}

impl Shared {
    pub(super) fn new(places: Places, owners: Owners, mode: Mode, counts: Striped<3>) -> Self {
        Self { places, owners, mode, counts, waiting: AtomicU64::new(0), line: PerProcess::new() }
    }

    /// A permit that is to be had at once. Counts nothing.
    #[inline(always)]
    pub(super) fn attempt(&self) -> Option<ConcurrencyPermit> {
        let owner = self.owners.join()?;
        match self.places.take(owner) {
            Ok(permit) => Some(permit),
            Err(full) => self.attempt_again(owner, full),
        }
    }

    #[inline(never)]
    fn attempt_again(&self, owner: u64, full: Full) -> Option<ConcurrencyPermit> {
        if full == Full::Disturbed {
            // Somebody may have found the place taken that was not.
            self.attend();
        }
        self.reclaim().then(|| self.places.take(owner).ok())?
    }

    /// Gives a permit back, if it is this process's and has not been given back.
    #[inline(always)]
    pub(super) fn give_back(&self, permit: ConcurrencyPermit) -> bool {
        let given = self.owners.present() == Some(owner_in(permit.word)) && self.places.give_back(permit);
        if given {
            self.attend();
        }
        given
    }

    /// After a place has become free.
    #[inline(always)]
    pub(super) fn attend(&self) {
        if self.is_waited_for() {
            self.serve();
        }
    }

    /// Whether somebody waits.
    #[inline(always)]
    pub(super) fn is_waited_for(&self) -> bool {
        in_order(&self.waiting) != 0
    }

    /// Frees the places of the dead, if it is time to look for them; whether there were any.
    #[cold]
    pub(super) fn reclaim(&self) -> bool {
        self.owners.reclaim(|is_gone| self.places.sweep(is_gone))
    }

    /// Gives what is free to those who wait, in their order.
    #[cold]
    pub(super) fn serve(&self) {
        while let Some(waker) = self.grant() {
            // Outside the lock: it runs foreign code.
            waker.wake();
        }
    }

    /// Gives one free place to the first in the line: whom to wake.
    fn grant(&self) -> Option<Waker> {
        let mut line = self.lock();
        if line.waiting.is_empty() {
            // Only a fork's parent may have waited.
            self.settle(&line);
            return None;
        }
        let permit = self.places.take(self.owners.join()?).ok()?;
        let (id, waker) = line.waiting.next()?;
        line.grants.insert(id, permit);
        self.settle(&line);
        Some(waker)
    }

    /// Joins the line.
    pub(super) fn enqueue(&self, waker: Waker) -> u64 {
        let id = {
            let mut line = self.lock();
            let id = line.waiting.add(waker);
            // SeqCst: before the look for free places below; see the top.
            self.waiting.swap(1, Ordering::SeqCst);
            id
        };
        self.serve();
        id
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

    /// Leaves the line; a permit that was given meanwhile goes to the next.
    pub(super) fn withdraw(&self, id: u64) {
        let (waker, grant) = {
            let mut line = self.lock();
            let left = (line.waiting.remove(id), line.grants.remove(&id));
            self.settle(&line);
            left
        };
        // Outside the lock: it may run foreign code.
        drop(waker);
        if let Some(permit) = grant {
            self.give_back(permit);
        }
    }

    /// Takes the announcement back when nobody is left; under the lock, so that it never hides a waiter.
    fn settle(&self, line: &Line) {
        if line.waiting.is_empty() {
            // Relaxed: it only says that the line is worth a look, and the line has its lock.
            self.waiting.store(0, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        // A waker's panic cannot leave the line half changed: wakers are cloned, called and dropped outside the lock.
        self.line.get().lock().unwrap_or_else(PoisonError::into_inner)
    }
}
