//! The ring in a child of fork: what threads of the parent had claimed and not published is nobody's.

use super::super::marks::{CLOSED, ONE, REJECTING, sequence};
use super::{DROPPED, Ring};
use crate::sync::Ordering;
use crate::sys::generation;

impl<T> Ring<T> {
    /// Keeps, in their order, the items that were in the queue at the fork: those whose push was published and whose
    /// pop was not claimed. The others are with threads of the parent.
    ///
    /// Nobody else is at the ring meanwhile: the parent's threads are not in this process, and those of this one begin
    /// every operation with a look at `generation`, which says "in order" last.
    #[cold]
    pub(super) fn mend(&self) {
        let excess = {
            let _turn = self.mending.lock();
            // Relaxed, here and below: under the lock.
            if self.generation.load(Ordering::Relaxed) == generation() {
                return;
            }
            let excess = self.close_gaps();
            // Relaxed: it changes by the first deadline only, which comes after this.
            if self.plain.load(Ordering::Relaxed) != 0 {
                // Release: pairs with `is_plain`.
                self.plain.store(generation(), Ordering::Release);
            }
            // Release: pairs with `settle`.
            self.generation.store(generation(), Ordering::Release);
            excess
        };
        // Foreign code, so after all is in order.
        drop(excess);
    }

    /// What a drop-oldest push had still to take out comes back.
    fn close_gaps(&self) -> Vec<T> {
        let state = &*self.state;
        // Relaxed, all: nobody else is here.
        let (head, tail) = (state.head.load(Ordering::Relaxed), state.tail.word.load(Ordering::Relaxed));
        let (first, slots) = (sequence(head), self.slots.len() as u64);
        let mut end = first;
        for at in first..sequence(tail) {
            if self.slot(at).stamp.load(Ordering::Relaxed) == at + 1 {
                self.move_back(at, end);
                end += 1;
            }
        }
        (first..end).for_each(|at| self.slot(at).stamp.store(at + 1, Ordering::Relaxed));
        (end..first + slots).for_each(|at| self.slot(at).stamp.store(at, Ordering::Relaxed));
        // Whoever waited was a thread of the parent.
        let flags = tail & (CLOSED | REJECTING);
        state.head.store(first * ONE, Ordering::Relaxed);
        state.tail.head_seen.store(first, Ordering::Relaxed);
        state.tail.word.store((end * ONE) | flags, Ordering::Relaxed);
        let excess = (end - first).saturating_sub(self.marks.capacity);
        self.counts.add(DROPPED, excess);
        (0..excess).filter_map(|at| self.take::<false>((first + at) * ONE)).map(|(item, _)| item).collect()
    }

    fn move_back(&self, from: u64, to: u64) {
        if from == to {
            return;
        }
        // SAFETY: the stamp said that item `from` is in its slot, and `to`, before it, holds none or one that was moved
        // already. It is read from one place and written to the other, and the stamps that are set then know it in the
        // other alone.
        let item = self.slot(from).item.with_mut(|place| unsafe { (*place).assume_init_read() });
        // SAFETY: as above.
        self.slot(to).item.with_mut(|place| unsafe { place.write(std::mem::MaybeUninit::new(item)) });
        let times = self.times_of(from);
        if !self.times.is_empty() {
            self.times[self.index(to)].store(times.pushed, Ordering::Relaxed);
        }
        if let Some(deadlines) = self.deadlines.get() {
            let deadline = &deadlines[self.index(to)];
            deadline.due.store(times.due, Ordering::Relaxed);
            deadline.of.store(to + 1, Ordering::Relaxed);
        }
    }
}
