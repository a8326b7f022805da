//! What stands where in an arena. A change of anything here, or of any object's parts, is a new [`VERSION`].
//!
//! `header | process slots | stripe owners | directory | objects`. Integers are atomics in the machine's own byte
//! order.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use crate::memory::Zeroable;
use crate::sync::AtomicU64;

/// The layout's number; part of the file's name.
pub const VERSION: u64 = 8;
/// `TIDEGATE` in the byte order of the machine that wrote it: another order reads as another number.
pub(crate) const MAGIC: u64 = u64::from_ne_bytes(*b"TIDEGATE");

/// Processes that can have an arena open at once.
pub(crate) const PROCESSES: usize = 256;
/// Threads, of all processes, that have a counter stripe of their own.
pub(crate) const STRIPES: usize = 64;
/// Names in one arena.
pub const OBJECTS: usize = 128;

/// Bytes of the file that carry locks, far beyond its end: one for names and quotas, then one for each process slot,
/// then one for who keeps the leases.
pub(crate) const NAMES_LOCK: u64 = 1 << 62;
pub(crate) const SLOT_LOCKS: u64 = NAMES_LOCK + 1;
pub(crate) const REFILL_LOCK: u64 = SLOT_LOCKS + PROCESSES as u64;

pub(crate) const HEADER_AT: usize = 0;
pub(crate) const SLOTS_AT: usize = 4096;
pub(crate) const OWNERS_AT: usize = SLOTS_AT + PROCESSES * size_of::<ProcessSlot>();
pub(crate) const DIRECTORY_AT: usize = (OWNERS_AT + STRIPES * 8).next_multiple_of(4096);
/// Where the objects begin: the smallest arena is a little larger.
pub(crate) const OBJECTS_AT: usize = (DIRECTORY_AT + OBJECTS * size_of::<Record>()).next_multiple_of(4096);

/// The first page.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) magic: AtomicU64,
    pub(crate) version: AtomicU64,
    /// Bytes of the file.
    pub(crate) size: AtomicU64,
    /// Of the hash of keys (`hash`).
    pub(crate) secret: [AtomicU64; 2],
    /// Which boot of the machine wrote it.
    pub(crate) boot_id: [AtomicU64; 2],
    /// Wall clock nanoseconds since 1970.
    pub(crate) created_ns: AtomicU64,
    /// 0: the operating system's monotonic clock; 1: the CPU's counter by the three numbers below.
    pub(crate) clock_kind: AtomicU64,
    pub(crate) ticks0: AtomicU64,
    pub(crate) ns0: AtomicU64,
    pub(crate) mult: AtomicU64,
    /// The system's monotonic clock, read together with `ticks0`.
    pub(crate) os_ns0: AtomicU64,
    /// In which time namespace that clock was read; 0: not known.
    pub(crate) time_namespace: AtomicU64,
    /// Of everything above.
    pub(crate) checksum: AtomicU64,
    pub(crate) _reserved: [AtomicU64; 17],
    /// Not 0: every process reads the system's monotonic clock plus this (wrapping), less 1.
    pub(crate) clock_moved: AtomicU64,
    pub(crate) _line: [AtomicU64; 15],
    /// How many process slots were found dead: who remembers a smaller number has permits to look for.
    pub(crate) deaths: AtomicU64,
    pub(crate) _reserved_too: [AtomicU64; 15],
    /// Of the policy in force; 0: none was put.
    pub(crate) policy_hash: AtomicU64,
    /// How many policies were put in force.
    pub(crate) policy_generation: AtomicU64,
    pub(crate) _reserved_last: [AtomicU64; 14],
}

/// A process that has the arena open.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct ProcessSlot {
    /// `used:1 | incarnation:24`.
    pub(crate) state: AtomicU64,
    /// For people: what it was called in its own pid namespace.
    pub(crate) pid: AtomicU64,
    /// For people: wall clock nanoseconds since 1970.
    pub(crate) since_ns: AtomicU64,
    pub(crate) _reserved: [AtomicU64; 5],
}

pub(crate) const NAME_BYTES: usize = 64;
pub(crate) const SHAPE_BYTES: usize = 192;
pub(crate) const SETTINGS_BYTES: usize = 192;
pub(crate) const SETTINGS: usize = 24;
pub(crate) const BASIS: usize = 8;

/// A named object.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct Record {
    /// 0: none; 1: in use; 2: removed, its bytes are not given out again.
    pub(crate) state: AtomicU64,
    pub(crate) kind: AtomicU64,
    pub(crate) shape_hash: AtomicU64,
    pub(crate) at: AtomicU64,
    pub(crate) end: AtomicU64,
    /// Time of the arena's clock at which it was made.
    pub(crate) born_ns: AtomicU64,
    /// Which of the two sets of settings is the declared one.
    pub(crate) declared: AtomicU64,
    pub(crate) _reserved: [AtomicU64; 9],
    pub(crate) name: [AtomicU64; NAME_BYTES / 8],
    pub(crate) shape: [AtomicU64; SHAPE_BYTES / 8],
    /// What the object was made with, as far as its later openers must know.
    pub(crate) basis: [AtomicU64; BASIS],
    pub(crate) settings: [SettingsRecord; 2],
}

/// Settings as numbers and as text.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct SettingsRecord {
    pub(crate) words: [AtomicU64; SETTINGS],
    pub(crate) text: [AtomicU64; SETTINGS_BYTES / 8],
}

// SAFETY: atomics only.
unsafe impl Zeroable for Header {}
// SAFETY: atomics only.
unsafe impl Zeroable for ProcessSlot {}
// SAFETY: atomics only.
unsafe impl Zeroable for Record {}
