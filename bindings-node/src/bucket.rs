//! The operations of `TokenBucket` in `lib/bucket.cjs`.

use crate::clock::Entry;
use crate::convert::{answer, duration, ms};
use crate::quota::{mode, quota, warm_up};
use crate::raw::{Kind, Reply};
use crate::refusal::refused;
use crate::scope;
use crate::stats;
use crate::table::Table;
use std::rc::Rc;
use std::sync::Arc;
use tidegate::TokenBucket;
use tidegate::limit::{BUCKET_SETTINGS, BucketConfig, Mode, Reservation, Ticket};
use tidegate::refusal::Refusal;

/// Where the settings stand among the numbers; `lib/bucket.cjs` has the same list.
const MODE: usize = 3;
const WARM_UP: usize = 5;

/// Exports the operations; the number of tokens is word 1.
pub(crate) fn export(kind: &Kind<Arc<TokenBucket>>, clocks: Rc<Table<Entry>>) -> napi::Result<()> {
    kind.operation("create", move |buckets, io, call| {
        let options = BucketConfig { mode: mode(io, MODE), warm_up: warm_up(io, WARM_UP)?, ..BucketConfig::default() };
        let [rate] = call.texts(scope::OWN)?;
        let quota = quota(&BUCKET_SETTINGS, io, 0, rate)?;
        let (bucket, lives) = scope::make(
            &clocks,
            io,
            call,
            |at| TokenBucket::in_arena(at.arena, at.name, quota, options, at.on_conflict),
            |clock| Ok(TokenBucket::with_options(quota, options, clock)?),
        )?;
        call.adopt(buckets, io, Arc::new(bucket), 0)?;
        lives.told(call)
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
    // What RateLimitedError says: word 1 tokens, wait and timeout as numbers 0 and 1, the name as text.
    .operation("refused", |buckets, io, call| {
        let [name] = call.texts(1)?;
        let quota = buckets.with(io, |bucket| bucket.quota())?;
        refused(call, io, Refusal::of_bucket(quota, io.word(1)).named(name.as_deref()))
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
        buckets.with(io, |bucket| bucket.reset())?;
        Ok(Reply::Nothing)
    })?
    .operation("setQuota", |buckets, io, call| {
        let quota = quota(&BUCKET_SETTINGS, io, 0, call.text()?)?;
        buckets.with(io, |bucket| bucket.set_quota(quota))??;
        Ok(Reply::Nothing)
    })?
    // Whether it refuses what is too much: it is neither switched off nor a dry run.
    .operation("refuses", |buckets, io, _| {
        buckets.with(io, |bucket| io.answer(bucket.mode() == Mode::Enforce))?;
        Ok(Reply::Nothing)
    })?
    .operation("quota", |buckets, io, _| {
        let quota = buckets.with(io, |bucket| bucket.quota())?;
        let period_ms = quota.period().as_nanos() as f64 / 1e6;
        io.set([quota.count() as f64, period_ms, f64::from(quota.burst())]);
        Ok(Reply::Nothing)
    })?
    .operation("stats", |buckets, io, _| {
        io.set(stats::bucket(&buckets.with(io, |bucket| bucket.stats())?));
        Ok(Reply::Nothing)
    })?;
    Ok(())
}
