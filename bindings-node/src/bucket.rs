//! The operations of `TokenBucket` in `lib/bucket.cjs`.

use crate::clock::{self, Entry};
use crate::convert::{duration, ms};
use crate::failure::Failure;
use crate::io::Io;
use crate::raw::{Kind, Reply};
use crate::table::Table;
use std::rc::Rc;
use tidegate::limit::{Reservation, Ticket};
use tidegate::{Decision, Quota, TokenBucket};

/// `rate` as text, or numbers 0: count, 1: milliseconds; 2: burst, NaN for the default.
fn quota(io: Io, rate: Option<String>) -> Result<Quota, Failure> {
    let quota = match rate {
        Some(text) => text.parse()?,
        None => Quota::from_f64(io.get(0), io.get(1) / 1e3)?,
    };
    Ok(match io.option(2) {
        Some(burst) => quota.with_burst(burst as u64)?,
        None => quota,
    })
}

fn answer(io: Io, decision: &Decision) {
    io.answer(decision.allowed);
    let (retry_after, reset_after) = (ms(decision.retry_after_ns), ms(decision.reset_after_ns));
    io.set([f64::from(decision.limit), f64::from(decision.remaining), retry_after, reset_after]);
}

/// Exports the operations; the number of tokens is word 1.
pub(crate) fn export(kind: &Kind<TokenBucket>, clocks: Rc<Table<Entry>>) -> napi::Result<()> {
    kind.operation("create", move |buckets, io, call| {
        let bucket = TokenBucket::with_clock(quota(io, call.text()?)?, clock::chosen(&clocks, io)?);
        call.adopt(buckets, io, bucket, 0)
    })?
    .operation("tryAcquire", |buckets, io, _| {
        buckets.with(io, |bucket| io.answer(bucket.try_acquire(io.word(1))))?;
        Ok(Reply::Nothing)
    })?
    .operation("check", |buckets, io, _| {
        buckets.with(io, |bucket| answer(io, &bucket.check(io.word(1))))?;
        Ok(Reply::Nothing)
    })?
    .operation("peek", |buckets, io, _| {
        buckets.with(io, |bucket| answer(io, &bucket.peek()))?;
        Ok(Reply::Nothing)
    })?
    .operation("reserve", |buckets, io, _| {
        let reservation = buckets.with(io, |bucket| bucket.reserve(io.word(1), io.option(0).map(duration)))?;
        match reservation {
            Reservation::Booked { wait_ns, ticket } => {
                io.set([ms(wait_ns)]);
                io.set_bits([ticket.word, ticket.booking]);
                io.answer(true);
            }
            Reservation::Denied { retry_after_ns } => {
                io.set([ms(retry_after_ns)]);
                io.answer(false);
            }
        }
        Ok(Reply::Nothing)
    })?
    .operation("cancel", |buckets, io, _| {
        let [word, booking] = io.bits();
        buckets.with(io, |bucket| io.answer(bucket.cancel(Ticket { word, booking })))?;
        Ok(Reply::Nothing)
    })?
    .operation("refund", |buckets, io, _| {
        buckets.with(io, |bucket| bucket.refund(io.word(1)))?;
        Ok(Reply::Nothing)
    })?
    .operation("penalize", |buckets, io, _| {
        buckets.with(io, |bucket| bucket.penalize(duration(io.get(0))))?;
        Ok(Reply::Nothing)
    })?
    .operation("reset", |buckets, io, _| {
        buckets.with(io, TokenBucket::reset)?;
        Ok(Reply::Nothing)
    })?
    .operation("setQuota", |buckets, io, call| {
        let quota = quota(io, call.text()?)?;
        buckets.with(io, |bucket| bucket.set_quota(quota))??;
        Ok(Reply::Nothing)
    })?
    .operation("quota", |buckets, io, _| {
        let quota = buckets.with(io, TokenBucket::quota)?;
        let period_ms = quota.period().as_secs_f64() * 1e3;
        io.set([quota.count() as f64, period_ms, f64::from(quota.burst())]);
        Ok(Reply::Nothing)
    })?
    .operation("stats", |buckets, io, _| {
        let stats = buckets.with(io, TokenBucket::stats)?;
        io.set([stats.admitted as f64, stats.denied as f64]);
        Ok(Reply::Nothing)
    })?;
    Ok(())
}
