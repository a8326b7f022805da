//! The operations of `LimitSet` in `lib/limit_set.cjs`.

use crate::convert::{answer, numbers};
use crate::io::{Io, MEMBERS};
use crate::raw::{Kind, Reply};
use crate::refusal::refused;
use crate::table::Table;
use std::rc::Rc;
use std::sync::Arc;
use tidegate::limit::{Member, SetDecision};
use tidegate::refusal::Refusal;
use tidegate::{Decision, LimitSet, RateLimiter, TokenBucket};

/// Word 2 where no member denied.
const NOBODY: u32 = u32::MAX;

/// A decision that no member has made.
const UNASKED: Decision =
    Decision { allowed: false, limit: 0, remaining: 0, retry_after_ns: 0, reset_after_ns: 0, delay_ns: 0 };

fn verdict(io: Io, verdict: &SetDecision) {
    answer(io, &verdict.decision);
    io.set_word(2, verdict.denied_by.map_or(NOBODY, |place| place as u32));
}

/// Exports the operations; the cost is word 1, the keys are the arguments, who denied is word 2.
pub(crate) fn export(
    kind: &Kind<Arc<LimitSet>>,
    buckets: Rc<Table<Arc<TokenBucket>>>,
    limiters: Rc<Table<Arc<RateLimiter>>>,
) -> napi::Result<()> {
    kind.operation("create", move |sets, io, call| {
        let mut members = Vec::new();
        for (index, name) in call.names()?.into_iter().enumerate() {
            let [place, keyed, ..] = io.member(index);
            let member = if keyed == 0.0 {
                Member::Bucket(buckets.at(place as u32, Arc::clone)?)
            } else {
                Member::Keyed(limiters.at(place as u32, Arc::clone)?)
            };
            members.push((name, member));
        }
        call.adopt(sets, io, Arc::new(LimitSet::new(members)?), 0)
    })?
    .operation("check", |sets, io, call| {
        let decided = call.with_keys(|keys| Ok(sets.with(io, |set| set.check(keys, io.word(1)))??))?;
        verdict(io, &decided);
        Ok(Reply::Nothing)
    })?
    .operation("checkEach", |sets, io, call| {
        let mut each = [UNASKED; MEMBERS];
        let decided = call.with_keys(|keys| Ok(sets.with(io, |set| set.check_each(keys, io.word(1), &mut each))??))?;
        verdict(io, &decided);
        for (index, decision) in each.iter().enumerate() {
            io.set_member(index, numbers(decision));
        }
        Ok(Reply::Nothing)
    })?
    .operation("peek", |sets, io, call| {
        let decided = call.with_keys(|keys| Ok(sets.with(io, |set| set.peek(keys, io.word(1)))??))?;
        verdict(io, &decided);
        Ok(Reply::Nothing)
    })?
    // As `refused` of a bucket; word 2 is the member that denied.
    .operation("refused", |sets, io, call| {
        sets.with(io, |set| {
            let n = io.word(1);
            let names: Vec<&str> = set.names().collect();
            refused(
                call,
                io,
                match set.members().nth(io.word(2) as usize) {
                    Some((name, Member::Keyed(limiter))) => Refusal::of_limiter(limiter.quota(), n).named(Some(name)),
                    Some((name, Member::Bucket(bucket))) => Refusal::of_bucket(bucket.quota(), n).named(Some(name)),
                    None => Refusal::of_limits(&names, n),
                },
            )
        })?
    })?
    .operation("refund", |sets, io, call| {
        call.with_keys(|keys| Ok(sets.with(io, |set| set.refund(keys, io.word(1)))??))?;
        Ok(Reply::Nothing)
    })?;
    Ok(())
}
