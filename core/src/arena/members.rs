//! Which processes have an arena open, and which of them are alive.
//!
//! A process owns a slot as long as it holds the kernel's lock on the slot's byte. It takes the lock first and says so
//! in the slot second, so a slot that says "used" while nobody holds its lock is a dead process's. The incarnation
//! tells apart those that had the slot one after the other: what names an earlier one is nobody's.
//!
//! A process's own lock does not show to itself. So who asks for the dead knows which slot is its process's own: no
//! thread looks while another registers.

use super::Mapping;
use super::layout::{HEADER_AT, Header, PROCESSES, ProcessSlot, SLOT_LOCKS, SLOTS_AT};
use crate::cancellation::CancellationOff;
use crate::sync::{AtomicU64, Ordering};
use crate::sys::{ForkLock, LockFile, generation};
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

/// A process in its slot: what a permit or a probe says of its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// 0 to 255.
    pub(crate) slot: u16,
    /// Which of the processes that had the slot; 24 bits, never 0.
    pub(crate) incarnation: u32,
}

/// A process slot, as `tidegate top` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberInfo {
    /// Its number, 0 to 255.
    pub slot: u16,
    /// Which of the processes that had the slot.
    pub incarnation: u32,
    /// The process's number in its own pid namespace.
    pub pid: u32,
    /// When it registered: wall clock nanoseconds since 1970; 0 in an arena of one process.
    pub since_ns: u64,
    /// Whether it lives; a dead one's slot is freed when somebody looks for permits.
    pub alive: bool,
}

/// Why a process has no slot.
#[derive(Debug)]
pub(super) enum NoSlot {
    Full,
    LostDescriptor,
    System(io::Error),
}

const USED: u64 = 1 << 24;
const INCARNATION: u64 = USED - 1;
/// How often the dead are looked for.
const REAP_EVERY_NS: u64 = 10_000_000;

/// One process's view of the slots.
#[derive(Debug)]
pub(super) struct Members {
    mapping: Arc<Mapping>,
    /// Tells the arenas of this process apart.
    number: u64,
    /// `None`: memory of this process, in which nobody else lives and nobody dies.
    file: Option<LockFile>,
    /// `fork generation:32 | slot:8 | incarnation:24`; 0: not registered.
    own: AtomicU64,
    /// Held by who registers, and by who looks for the dead.
    registering: ForkLock<()>,
    /// When the dead were last looked for.
    reaped_ns: AtomicU64,
    /// What `reap` said then.
    changes: AtomicU64,
}

impl Members {
    /// Of memory of this process.
    pub(super) fn of_process(mapping: &Arc<Mapping>) -> Self {
        Self::new(mapping, None)
    }

    /// Of a mapped file. `file`: opened on it for this alone, to read and write, close-on-exec; no copy of another
    /// descriptor.
    ///
    /// Errors: `EMFILE` when this process has too many arenas open.
    #[cfg(target_os = "linux")]
    pub(super) fn of_file(mapping: &Arc<Mapping>, file: std::os::fd::OwnedFd) -> io::Result<Self> {
        Ok(Self::new(mapping, Some(LockFile::new(file)?)))
    }

    fn new(mapping: &Arc<Mapping>, file: Option<LockFile>) -> Self {
        Self {
            mapping: mapping.clone(),
            number: crate::counters::next_number(),
            file,
            own: AtomicU64::new(0),
            registering: ForkLock::default(),
            reaped_ns: AtomicU64::new(u64::MAX),
            changes: AtomicU64::new(0),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// What carries this process's locks.
    pub(super) fn file(&self) -> Option<&LockFile> {
        self.file.as_ref()
    }

    fn slots(&self) -> &[ProcessSlot] {
        self.mapping.slice(SLOTS_AT, PROCESSES).unwrap_or_default()
    }

    /// This process, if it is registered.
    #[inline]
    pub(super) fn registered(&self) -> Option<Member> {
        if self.file.is_none() {
            // A child of fork has a copy of the memory, and owns nothing in it.
            return Some(Member { slot: 0, incarnation: generation() & INCARNATION as u32 });
        }
        // Acquire: the slot says what this word does.
        let own = self.own.load(Ordering::Acquire);
        (own >> 32 == u64::from(generation()))
            .then_some(Member { slot: (own >> 24) as u16 & 0xff, incarnation: (own & INCARNATION) as u32 })
    }

    /// This process, registered if it is not yet.
    pub(super) fn member(&self) -> Result<Member, NoSlot> {
        match self.registered() {
            Some(member) => Ok(member),
            None => self.register(),
        }
    }

    #[cold]
    fn register(&self) -> Result<Member, NoSlot> {
        // On a decision's path when a child of fork comes for the first time.
        let _off = CancellationOff::new();
        let _turn = self.registering.lock();
        let file = match (&self.file, self.registered()) {
            (Some(file), None) => file,
            (_, member) => return member.ok_or(NoSlot::Full),
        };
        if !file.is_whole() {
            return Err(NoSlot::LostDescriptor);
        }
        let slots = self.slots();
        // Relaxed: a hint; the kernel decides. Slots that say they are used are tried last: some of their processes may
        // be dead.
        let used = |&slot: &usize| slots[slot].state.load(Ordering::Relaxed) & USED != 0;
        let (tried_last, tried_first): (Vec<usize>, Vec<usize>) = (0..slots.len()).partition(used);
        for slot in tried_first.into_iter().chain(tried_last) {
            if file.try_lock(SLOT_LOCKS + slot as u64).map_err(NoSlot::System)? {
                let member = self.move_in(slot);
                let own = u64::from(generation()) << 32 | (slot as u64) << 24 | u64::from(member.incarnation);
                // Release: pairs with `registered`.
                self.own.store(own, Ordering::Release);
                return Ok(member);
            }
        }
        Err(NoSlot::Full)
    }

    /// Under the kernel's lock on the slot. A process killed in here leaves a slot that says nothing, or one that is
    /// reaped.
    fn move_in(&self, slot: usize) -> Member {
        let entry = &self.slots()[slot];
        // Acquire: what a process before wrote to the slot is over.
        let before = entry.state.load(Ordering::Acquire);
        let incarnation = (((before & INCARNATION) + 1) & INCARNATION).max(1);
        // Relaxed, both: published by `state`.
        entry.pid.store(u64::from(std::process::id()), Ordering::Relaxed);
        entry.since_ns.store(wall_clock_ns(), Ordering::Relaxed);
        // Release: who reads it sees the two above. A plain store: only the holder of the lock writes anything but "no
        // longer used" of the state before, and that is said by this one too.
        entry.state.store(USED | incarnation, Ordering::Release);
        if before & USED != 0 {
            self.count_death();
        }
        Member { slot: slot as u16, incarnation: incarnation as u32 }
    }

    pub(super) fn is_current(&self, member: Member) -> bool {
        self.incarnation(member.slot) == Some(member.incarnation)
    }

    /// Who has the slot; `None`: nobody.
    pub(super) fn incarnation(&self, slot: u16) -> Option<u32> {
        if self.file.is_none() {
            return self.registered().filter(|own| own.slot == slot).map(|own| own.incarnation);
        }
        // Acquire: who sees a slot freed sees all that its process did.
        let state = self.slots().get(usize::from(slot))?.state.load(Ordering::Acquire);
        (state & USED != 0).then_some((state & INCARNATION) as u32)
    }

    /// Frees the slots of the dead, unless that was done less than 10 ms before `now`.
    pub(super) fn reap(&self, now: u64) -> u64 {
        let Some(file) = &self.file else { return generation().into() };
        // Relaxed: only a time.
        let last = self.reaped_ns.load(Ordering::Relaxed);
        // A clock that stepped back does not put it off.
        let due = now.abs_diff(last) >= REAP_EVERY_NS;
        // Relaxed: elects one thread; what it finds is published by `changes`.
        if due && self.reaped_ns.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.reap_now(file);
        }
        // Acquire: who sees the number sees the slots that it was made of.
        self.changes.load(Ordering::Acquire)
    }

    #[cold]
    fn reap_now(&self, file: &LockFile) {
        let _off = CancellationOff::new();
        // Whoever registers now may have locked a slot that is not known to be this process's yet: it would be taken
        // for dead, with all that it ever takes. The next round finds the dead as well.
        let Some(_turn) = self.registering.try_lock() else { return };
        let own = self.registered().map(|member| usize::from(member.slot));
        let mut changes = 0_u64;
        for (slot, entry) in self.slots().iter().enumerate() {
            // Acquire: as `incarnation`.
            let mut state = entry.state.load(Ordering::Acquire);
            // One's own lock does not show.
            if state & USED != 0 && own != Some(slot) && is_dead(file, slot) {
                // AcqRel: after the dead one's last store, which the kernel's lock ordered before; before who moves in
                // next. Fails when somebody else freed the slot or moved in since.
                match entry.state.compare_exchange(state, state & !USED, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => {
                        self.count_death();
                        state &= !USED;
                    }
                    Err(now) => state = now,
                }
            }
            // Grows with every move in and every death, and is counted from the slots themselves: whoever is killed
            // while reaping, the next one's number tells of it.
            changes = changes.wrapping_add(2 * (state & INCARNATION)).wrapping_sub(u64::from(state & USED != 0));
        }
        // Release: pairs with `reap`.
        self.changes.store(changes, Ordering::Release);
    }

    /// For people: `reap` does not depend on it.
    fn count_death(&self) {
        if let Some(header) = self.mapping.value::<Header>(HEADER_AT) {
            // Relaxed: a statistic.
            header.deaths.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The slots in use, as they are; changes nothing.
    pub(super) fn survey(&self) -> Vec<MemberInfo> {
        let Some(file) = &self.file else {
            let own = self.registered().map(|Member { slot, incarnation }| MemberInfo {
                slot,
                incarnation,
                pid: std::process::id(),
                since_ns: 0,
                alive: true,
            });
            return own.into_iter().collect();
        };
        let _off = CancellationOff::new();
        let _turn = self.registering.lock();
        let own = self.registered().map(|member| member.slot);
        let info = |slot: u16| {
            let incarnation = self.incarnation(slot)?;
            let entry = self.slots().get(usize::from(slot))?;
            // Relaxed, both: ordered by the state; of somebody else if the slot changed hands meanwhile.
            let (pid, since_ns) = (entry.pid.load(Ordering::Relaxed), entry.since_ns.load(Ordering::Relaxed));
            let alive = own == Some(slot) || !is_dead(file, usize::from(slot));
            Some(MemberInfo { slot, incarnation, pid: pid as u32, since_ns, alive })
        };
        (0..PROCESSES as u16).filter_map(info).collect()
    }
}

/// What cannot be asked is not dead.
fn is_dead(file: &LockFile, slot: usize) -> bool {
    file.is_locked(SLOT_LOCKS + slot as u64).is_ok_and(|locked| !locked)
}

fn wall_clock_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl Drop for Members {
    fn drop(&mut self) {
        // In a child of fork, what its parent registered is not its to give back.
        let (Some(file), Some(member)) = (&self.file, self.registered()) else { return };
        if let Some(entry) = self.slots().get(usize::from(member.slot)) {
            let own = USED | u64::from(member.incarnation);
            // Release: who moves in next comes after all that this process did.
            let _ = entry.state.compare_exchange(own, own & !USED, Ordering::Release, Ordering::Relaxed);
        }
        // Before the descriptor is closed: a child forked just now may hold a copy of it.
        let _ = file.unlock(SLOT_LOCKS + u64::from(member.slot));
    }
}

#[cfg(all(test, target_os = "linux"))]
#[path = "members_tests.rs"]
mod tests;
