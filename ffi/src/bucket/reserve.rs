//! Booking tokens ahead, and giving a booking back.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use super::tg_bucket;
use crate::handle::{In, Out};
use crate::panic::guard;
use crate::quota::bound;
use crate::status::tg_status;
use tg_status::{TG_DENIED, TG_OK};
use tidegate_core::limit::{Reservation, Ticket};

/// A booking made by tg_bucket_reserve(), by value. What is in it is tidegate's; all zero is no booking.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_ticket {
    /// Opaque.
    pub word: u64,
    /// Opaque.
    pub booking: u64,
}

/// Books n tokens ahead if the wait is at most max_wait_ns (TG_NEVER: as long as it takes). TG_OK: booked, act after
/// *wait_ns nanoseconds. TG_DENIED: nothing booked, *wait_ns is the wait it would have taken (TG_NEVER: n exceeds the
/// burst) and *ticket is all zero.
///
/// Ownership: ticket may be NULL if it will never be cancelled.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_reserve(
    bucket: In<tg_bucket>,
    n: u32,
    max_wait_ns: u64,
    ticket: Out<tg_ticket>,
    wait_ns: Out<u64>,
) -> tg_status {
    guard(|| {
        let bucket = &bucket.get("bucket")?.0;
        wait_ns.require("wait_ns")?;
        Ok(booked(bucket.reserve(n, bound(max_wait_ns)), &ticket, &wait_ns))
    })
}

/// tg_bucket_reserve() at now_ns nanoseconds of the bucket's clock.
///
/// Ownership: ticket may be NULL if it will never be cancelled.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_reserve_at(
    bucket: In<tg_bucket>,
    now_ns: u64,
    n: u32,
    max_wait_ns: u64,
    ticket: Out<tg_ticket>,
    wait_ns: Out<u64>,
) -> tg_status {
    guard(|| {
        let bucket = &bucket.get("bucket")?.0;
        wait_ns.require("wait_ns")?;
        Ok(booked(bucket.reserve_at(now_ns, n, bound(max_wait_ns)), &ticket, &wait_ns))
    })
}

fn booked(reservation: Reservation, ticket: &Out<tg_ticket>, wait: &Out<u64>) -> tg_status {
    match reservation {
        Reservation::Booked { wait_ns, ticket: Ticket { word, booking } } => {
            ticket.set(tg_ticket { word, booking });
            wait.set(wait_ns);
            TG_OK
        }
        Reservation::Denied { retry_after_ns } => {
            ticket.set(tg_ticket::default());
            wait.set(retry_after_ns);
            TG_DENIED
        }
    }
}

/// Gives a booking back: nothing once its time to act has come, else its tokens minus what was booked behind it and is
/// still out (those were told their times). So the last booking comes back whole, then the one before it. A ticket
/// counts once, and as long as it is among the latest 256 that had to wait.
/// *returned (may be NULL) tells whether anything came back. Always TG_OK with a live bucket.
///
/// Ownership: a ticket may be dropped without cancelling.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_cancel(bucket: In<tg_bucket>, ticket: tg_ticket, returned: Out<bool>) -> tg_status {
    guard(|| {
        let bucket = &bucket.get("bucket")?.0;
        returned.set(bucket.cancel(Ticket { word: ticket.word, booking: ticket.booking }));
        Ok(TG_OK)
    })
}

/// tg_bucket_cancel() at now_ns nanoseconds of the bucket's clock.
///
/// Ownership: a ticket may be dropped without cancelling.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_cancel_at(
    bucket: In<tg_bucket>,
    now_ns: u64,
    ticket: tg_ticket,
    returned: Out<bool>,
) -> tg_status {
    guard(|| {
        let bucket = &bucket.get("bucket")?.0;
        returned.set(bucket.cancel_at(now_ns, Ticket { word: ticket.word, booking: ticket.booking }));
        Ok(TG_OK)
    })
}
