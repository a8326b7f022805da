//! A concurrency limit's settings.

// `unsafe impl Settings` for a struct of plain numbers.
#![allow(unsafe_code)]

use super::partition::{partitions, tg_partition};
use crate::arena::tg_arena;
use crate::clock::tg_clock;
use crate::handle::{In, Settings, versioned};
use crate::mode::mode;
use crate::status::{Failure, tg_status};
use std::ffi::c_char;
use std::mem::size_of;
use tg_status::TG_UNKNOWN_VALUE;
use tidegate_core::ConcurrencyConfig;
use tidegate_core::concurrency::WaitOrder;

/// Settings of a concurrency limit. Start from TG_CONCURRENCY_CONFIG_INIT and set limit.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_concurrency_config {
    /// sizeof(tg_concurrency_config)
    pub struct_size: usize,
    /// The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Waiting always uses the
    /// machine's. Borrowed during the call.
    pub clock: In<tg_clock>,
    /// Where its state lives; NULL: in memory of its own. Shared.
    pub arena: In<tg_arena>,
    /// Its name in the arena; without an arena it says nothing. Borrowed during the call.
    pub name: In<c_char>,
    /// The most at once, 1 .. max_limit. Must be set.
    pub limit: u32,
    /// What tg_concurrency_set_limit() may raise it to, at most 4096: a place for each is kept. 0: the limit.
    pub max_limit: u32,
    /// One of tg_mode.
    pub mode: i32,
    /// One of tg_on_conflict; without an arena it says nothing.
    pub on_conflict: i32,
    /// The most that wait at once in this process, 1 .. 1000000: who comes then is refused at once. 0: any number.
    pub max_waiting: u32,
    /// Who of those that wait in this process is served first: one of tg_concurrency_order.
    pub order: i32,
    /// An array of partitions_len, at most 8; NULL with 0. With some, max_waiting holds for each. Borrowed during the
    /// call.
    pub partitions: In<tg_partition>,
    /// How many.
    pub partitions_len: usize,
    /// An array of priority_len names of partitions, the first first: each may starve those behind it, and those that
    /// are not in it, of all but their guarantee. NULL with 0. Borrowed during the call.
    pub priority: In<In<c_char>>,
    /// How many.
    pub priority_len: usize,
}

versioned!(
    tg_concurrency_config,
    first = 48,
    fields = [
        clock,
        arena,
        name,
        limit,
        max_limit,
        mode,
        on_conflict,
        max_waiting,
        order,
        partitions,
        partitions_len,
        priority,
        priority_len
    ]
);
// SAFETY: pointers and numbers only.
unsafe impl Settings for tg_concurrency_config {}

impl Default for tg_concurrency_config {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            clock: In::default(),
            arena: In::default(),
            name: In::default(),
            limit: 0,
            max_limit: 0,
            mode: 0,
            on_conflict: 0,
            max_waiting: 0,
            order: 0,
            partitions: In::default(),
            partitions_len: 0,
            priority: In::default(),
            priority_len: 0,
        }
    }
}

impl tg_concurrency_config {
    pub(super) fn checked(&self) -> Result<ConcurrencyConfig, Failure> {
        let mut config = ConcurrencyConfig::new(self.limit);
        if self.max_limit != 0 {
            config.max_limit = self.max_limit;
        }
        config.max_waiting = most(self.max_waiting);
        config.order = order(self.order)?;
        config.mode = mode(self.mode)?;
        config.partitions = partitions(&self.partitions, self.partitions_len, &self.priority, self.priority_len)?;
        Ok(config)
    }
}

/// How many may wait; 0: any number.
pub(super) fn most(max_waiting: u32) -> Option<u32> {
    (max_waiting != 0).then_some(max_waiting)
}

/// Who of those that wait is served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_concurrency_order {
    /// Who has waited longest.
    TG_ORDER_FIFO = 0,
    /// Who came last: under a lasting overload those who are served have waited little, and the oldest time out.
    TG_ORDER_LIFO = 1,
}

const _: () = {
    assert!(tg_concurrency_order::TG_ORDER_FIFO as i32 == WaitOrder::Fifo as i32);
    assert!(tg_concurrency_order::TG_ORDER_LIFO as i32 == WaitOrder::Lifo as i32);
};

pub(super) fn order(order: i32) -> Result<WaitOrder, Failure> {
    usize::try_from(order).ok().and_then(|it| WaitOrder::ALL.get(it)).copied().ok_or_else(|| {
        let message = format!("order: {order} is neither TG_ORDER_FIFO (0) nor TG_ORDER_LIFO (1)");
        Failure::new(TG_UNKNOWN_VALUE, message)
    })
}
