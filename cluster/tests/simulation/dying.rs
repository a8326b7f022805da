//! A refiller that is killed between two of its steps on a lease.

use crate::world::Fault;
use fastrand::Rng;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use tidegate::lease::{Change, KEPT, Lease};
use tidegate_cluster::Ledger;

/// A lease whose refiller does so many steps on it and no more.
pub(crate) struct Dying<'a> {
    lease: &'a Lease,
    steps: Cell<u32>,
    fault: Fault,
    /// What is to be kept after the next step, where that is the fault.
    later: Cell<Option<[u64; KEPT]>>,
}

struct Death;

/// Whom it strikes when: by numbers of its own, and in two of seven histories, so that the others stay what they are.
pub(crate) struct Deaths(Option<Rng>);

impl Deaths {
    pub(crate) fn of(seed: u64) -> Self {
        Self(matches!(seed % 7, 3 | 4).then(|| Rng::with_seed(!seed)))
    }

    pub(crate) fn strikes(&mut self, odds: f64) -> bool {
        self.0.as_mut().is_some_and(|random| random.f64() < odds)
    }

    /// Mostly it lives.
    pub(crate) fn of_one<'a>(&mut self, lease: &'a Lease, fault: Fault) -> Dying<'a> {
        let dies = self.strikes(0.03);
        let steps = self.0.as_mut().filter(|_| dies).map_or(u32::MAX, |random| random.u32(0..4));
        Dying { lease, steps: Cell::new(steps), fault, later: Cell::new(None) }
    }
}

impl Dying<'_> {
    fn step(&self) {
        match self.steps.get().checked_sub(1) {
            Some(left) => self.steps.set(left),
            None => resume_unwind(Box::new(Death)),
        }
    }
}

/// What came of it; `None`: it was killed meanwhile.
pub(crate) fn until_death<T>(run: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => Some(done),
        Err(why) if why.is::<Death>() => None,
        Err(why) => resume_unwind(why),
    }
}

impl Ledger for Dying<'_> {
    fn tokens_at(&self, now: u64) -> u32 {
        self.lease.tokens_at(now)
    }

    fn lower_at(&self, now: u64, most: u32) -> Change {
        self.step();
        self.lease.lower_at(now, most)
    }

    fn grant_at(&self, now: u64, deadline_ns: u64, tokens: u32, keep: bool) -> Change {
        self.step();
        let change = self.lease.grant_at(now, deadline_ns, tokens, keep);
        if let Some(words) = self.later.take() {
            self.keep(words);
        }
        change
    }

    fn close(&self) -> Change {
        self.step();
        self.lease.close()
    }

    fn kept(&self) -> [u64; KEPT] {
        self.lease.kept()
    }

    fn keep(&self, words: [u64; KEPT]) {
        // What was added is the second of the words.
        if self.fault == Fault::KeepsAfterwards && self.later.get().is_none() && words[1] > self.lease.kept()[1] {
            return self.later.set(Some(words));
        }
        self.step();
        self.lease.keep(words);
    }
}
