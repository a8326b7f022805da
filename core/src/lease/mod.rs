//! A share of a limit of many machines, to be spent until a deadline without asking anybody.
//!
//! | file | idea |
//! |---|---|
//! | `word.rs` | deadline and tokens in one word |
//! | `config.rs` | what a limit of many machines is declared with |
//! | `limit.rs` | that limit, as the processes of a machine spend it |
//! | `health.rs` | how it goes with who keeps the lease |
//! | `arena.rs` | it lives in an arena |
//!
//! Who leases (the crate `tidegate-cluster`) stands outside of the core. What it must remember lies beside the word, so
//! that another process can go on where one was killed.

#[cfg(not(loom))]
mod arena;
mod config;
#[cfg(not(loom))]
mod health;
#[cfg(not(loom))]
mod limit;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
mod word;

#[doc(hidden)] // For the bindings.
pub use config::NO_ARENA;
pub use config::{ClusterConfig, FALLBACK_FOR, LeaseTerms, OnUnreachable, SETTINGS};
#[cfg(not(loom))]
pub use health::LeaseHealth;
#[cfg(not(loom))]
pub use limit::{ClusterLimit, ClusterStats};
pub use word::MOST;

use crate::counters::Striped;
#[cfg(not(loom))]
use crate::memory::SeqLock;
use crate::memory::{ObjectAllocator, One, PATIENCE};
use crate::sync::{AtomicU64, Ordering, load_for_cas};
use crate::sys::{generation, watch};
use crate::{Clock, ConfigError};
use word::Word;

/// Tokens that somebody else has counted as given to this host, to be spent here up to a deadline. Everybody spends;
/// one refiller grants, lowers and closes, and keeps the account with whoever leased them.
///
/// It begins empty, and it fails closed: after the deadline, without tokens, and with a clock beyond 34 years it
/// denies. A clock that steps back may find a lease live that had ended, so the clock must not: [`Clock::boottime`]
/// counts on while the machine sleeps, and never goes back.
///
/// A child of fork has a copy of the tokens, which are its parent's: there everything is denied. That of a
/// [`ClusterLimit`] in an arena of the machine is of all its processes.
///
/// Invariant: what was granted = what was spent + what was dropped + what is held, at every instant.
///
/// Thread safety: all methods may be called from any thread at any time; no lock, no system call where the kernel
/// offers its clock through the vDSO. Source: leases of Gray and Cheriton (1989), where the holder's deadline counts
/// from before it asked.
///
/// ```
/// use tidegate::lease::Lease;
///
/// const MS: u64 = 1_000_000;
/// let lease = Lease::new();
/// assert!(!lease.try_acquire_at(0, 1), "nothing is leased yet");
/// lease.grant_at(0, 500 * MS, 2, true);
/// assert!(lease.try_acquire_at(1, 1));
/// assert_eq!(lease.tokens_at(1), 1);
/// assert!(!lease.try_acquire_at(500 * MS, 1), "its time has passed");
/// ```
#[derive(Debug)]
pub struct Lease {
    word: One<AtomicU64>,
    counts: Striped<4>,
    /// What the refiller remembers.
    #[cfg(not(loom))]
    kept: One<SeqLock<KEPT>>,
    clock: Clock,
    /// Of which process it is; [`EVERY`]: of the machine.
    process: u32,
}

/// No process has this generation.
const EVERY: u32 = 0;
/// Words that a refiller can keep beside a lease.
pub const KEPT: usize = 16;

const ADMITTED: usize = 0;
const DENIED: usize = 1;
const BEYOND: usize = 2;
const WOULD_DENY: usize = 3;

/// What the refiller's step found and changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Tokens that may be spent from now on.
    pub held: u32,
    /// Tokens that were there and may be spent no more: surplus, or of a lease that had ended.
    pub dropped: u32,
}

/// Counts since the lease was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseStats {
    /// Calls that took what they asked for.
    pub admitted: u64,
    /// Calls that were denied.
    pub denied: u64,
    /// Calls that a dry run let through and that would have been denied.
    pub would_deny: u64,
    /// Tokens that they asked for, together.
    pub asked: u64,
    /// Tokens held, whether the lease has ended or not.
    pub tokens: u32,
    /// When it ends, in nanoseconds of its clock; 0: never granted.
    pub deadline_ns: u64,
}

impl Lease {
    /// An empty lease on [`Clock::boottime`].
    pub fn new() -> Self {
        Self::with_clock(Clock::boottime())
    }

    /// An empty lease on `clock`, which must not step back.
    pub fn with_clock(clock: Clock) -> Self {
        let made = Self::in_room(&mut ObjectAllocator::of_process(false), clock, false);
        made.expect("a few hundred bytes of memory")
    }

    /// Three parts of a room. `shared`: it is the machine's, not this process's.
    fn in_room(room: &mut ObjectAllocator, clock: Clock, shared: bool) -> Result<Self, ConfigError> {
        watch();
        Ok(Self {
            word: room.one()?,
            counts: Striped::in_room(room)?,
            #[cfg(not(loom))]
            kept: room.one()?,
            clock,
            process: if shared { EVERY } else { generation() },
        })
    }

    /// The clock of the plain forms.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Takes `n` tokens, or nothing. `n` = 0 takes nothing and is denied when the lease is empty or has ended.
    #[inline]
    pub fn try_acquire(&self, n: u32) -> bool {
        self.try_acquire_at(self.clock.now(), n)
    }

    /// [`try_acquire`](Self::try_acquire) at `now` nanoseconds of this lease's clock.
    #[inline]
    pub fn try_acquire_at(&self, now: u64, n: u32) -> bool {
        let admitted = self.take(now, n).is_ok();
        self.count(if admitted { ADMITTED } else { DENIED }, n);
        admitted
    }

    #[inline]
    fn count(&self, lane: usize, n: u32) {
        self.counts.add(lane, 1);
        if n > 1 {
            self.counts.add(BEYOND, u64::from(n) - 1);
        }
    }

    /// What is left then; `Err`: denied, and what is there.
    #[inline]
    fn take(&self, now: u64, n: u32) -> Result<u32, u32> {
        if self.process != generation() && self.process != EVERY {
            return Err(0);
        }
        let mut word = Word(load_for_cas(&self.word));
        for _ in 0..PATIENCE {
            let live = word.live(now);
            if live == 0 || live < n {
                return Err(live);
            }
            match self.exchange(word, word.with(live - n)) {
                Ok(()) => return Ok(live - n),
                Err(seen) => word = seen,
            }
        }
        Err(0)
    }

    /// What may be spent now.
    pub fn tokens(&self) -> u32 {
        self.tokens_at(self.clock.now())
    }

    /// [`tokens`](Self::tokens) at `now`.
    pub fn tokens_at(&self, now: u64) -> u32 {
        Word(load_for_cas(&self.word)).live(now)
    }

    /// `tokens` more up to `deadline_ns`; those that are held live on to the same deadline when `keep`, and are dropped
    /// otherwise, as are those of a lease that has ended. At most [`MOST`] are held; what would be above is not
    /// granted, and counts as dropped.
    ///
    /// For the refiller alone.
    pub fn grant_at(&self, now: u64, deadline_ns: u64, tokens: u32, keep: bool) -> Change {
        self.change(|word| {
            let base = if keep { word.live(now) } else { 0 };
            let granted = tokens.min(MOST - base);
            (Word::new(deadline_ns, base + granted), (word.tokens() - base) + (tokens - granted))
        })
    }

    /// At most `most` tokens from now on, and none of a lease that has ended. For the refiller, before it tells how
    /// many are held: what it drops cannot be spent any more.
    pub fn lower_at(&self, now: u64, most: u32) -> Change {
        self.change(|word| {
            let kept = word.live(now).min(most);
            (word.with(kept), word.tokens() - kept)
        })
    }

    /// Nothing more is spent until the next grant.
    pub fn close(&self) -> Change {
        // AcqRel: as `exchange`.
        Change { held: 0, dropped: Word(self.word.swap(0, Ordering::AcqRel)).tokens() }
    }

    /// What was kept last, all of one [`keep`](Self::keep); zeroes where nothing was.
    #[cfg(not(loom))]
    pub fn kept(&self) -> [u64; KEPT] {
        self.kept.read()
    }

    /// Remembers what the refiller needs to go on, in place of what was kept before: killed at any moment, it has kept
    /// the one or the other. For the refiller alone.
    #[cfg(not(loom))]
    pub fn keep(&self, words: [u64; KEPT]) {
        self.kept.write(words);
    }

    /// Counts, and the word.
    pub fn stats(&self) -> LeaseStats {
        let word = Word(load_for_cas(&self.word));
        let [admitted, denied, beyond, would_deny] = std::array::from_fn(|lane| self.counts.sum(lane));
        // Wrapping: foreign bytes in an arena must not panic.
        let asked = [denied, beyond, would_deny].into_iter().fold(admitted, u64::wrapping_add);
        LeaseStats { admitted, denied, would_deny, asked, tokens: word.tokens(), deadline_ns: word.deadline_ns() }
    }

    /// Spenders only ever lower the word, so at most its tokens' worth of them win against the refiller. Who wins more
    /// often is foreign: then the lease is closed, and what the step was to hold is dropped.
    fn change(&self, step: impl Fn(Word) -> (Word, u32)) -> Change {
        let mut word = Word(load_for_cas(&self.word));
        for _ in 0..=MOST {
            let (new, dropped) = step(word);
            match self.exchange(word, new) {
                Ok(()) => return Change { held: new.tokens(), dropped },
                Err(seen) => word = seen,
            }
        }
        let (new, dropped) = step(word);
        self.close();
        Change { held: 0, dropped: dropped.saturating_add(new.tokens()) }
    }

    #[inline]
    fn exchange(&self, old: Word, new: Word) -> Result<(), Word> {
        // AcqRel: who spends a token sees what the refiller did before it was granted, and the refiller what was done
        // with those that it finds spent. Acquire on failure: the step looks at what it found as `load_for_cas` does.
        let done = self.word.compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Acquire);
        done.map(drop).map_err(Word)
    }
}

impl Default for Lease {
    fn default() -> Self {
        Self::new()
    }
}
