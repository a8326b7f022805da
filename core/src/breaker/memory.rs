//! Where a breaker's mutable state lives: atomics only, no pointers, so that it can move into a mapped file unchanged.
//! Sizes stand in private memory and are never read from here.

use super::control::Control;
use super::events::EventRing;
use crate::sync::AtomicU64;

/// The fixed part. The control word is read by every call and rarely written, so it has its cache lines for itself.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Head {
    pub(super) control: ControlLine,
    /// The run of failures, see `run.rs`.
    pub(super) run: AtomicU64,
    /// How often it opened.
    pub(super) opened: AtomicU64,
    pub(super) events: EventRing,
}

#[repr(C, align(128))]
#[derive(Debug)]
pub(super) struct ControlLine(pub(super) AtomicU64);

impl Head {
    pub(super) fn new() -> Self {
        Self {
            control: ControlLine(AtomicU64::new(Control::FIRST.0)),
            run: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            events: EventRing::new(),
        }
    }
}

const LINE: usize = 8;

#[repr(C, align(64))]
#[derive(Debug)]
struct CacheLine([AtomicU64; LINE]);

/// The part whose size is known at run time: zeroed words, from the start of a cache line.
#[derive(Debug)]
pub(super) struct Words(Box<[CacheLine]>);

impl Words {
    pub(super) fn zeroed(len: usize) -> Self {
        Self((0..len.div_ceil(LINE)).map(|_| CacheLine(std::array::from_fn(|_| AtomicU64::new(0)))).collect())
    }

    #[inline]
    pub(super) fn at(&self, index: usize) -> &AtomicU64 {
        &self.0[index / LINE].0[index % LINE]
    }
}
