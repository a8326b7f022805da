//! The operations of `RateLimiter` in `lib/limiter.cjs`.

use crate::clock::Entry;
use crate::convert::{answer, duration, ms};
use crate::failure::Failure;
use crate::io::Io;
use crate::quota::{mode, quota, warm_up};
use crate::raw::{Call, Kind, Reply};
use crate::refusal::refused;
use crate::scope;
use crate::settings::{span, whole};
use crate::stats;
use crate::table::Table;
use std::rc::Rc;
use std::sync::Arc;
use tidegate::limit::{Block, LIMITER_SETTINGS, LimiterConfig, Mode, Tier};
use tidegate::refusal::Refusal;
use tidegate::{Algorithm, RateLimiter};

/// Word 2 where the default quota is meant; else the place of a tier.
const NO_TIER: u32 = u32::MAX;

/// Where the settings stand among the numbers; `lib/limiter.cjs` has the same list.
const RATE: usize = 0;
const FASTEST: usize = 3;
const ALGORITHM: usize = 6;
const MAX_KEYS: usize = 7;
const BLOCK: usize = 8;
const WARM_UP: usize = 13;
const MODE: usize = 15;
const HUGE_PAGES: usize = 17;
const HAS_FASTEST: usize = 18;

fn block(io: Io) -> Result<Option<Block>, Failure> {
    if io.option(BLOCK).is_none() {
        return Ok(None);
    }
    let field = |name| LIMITER_SETTINGS.field(name);
    let after = whole(io, BLOCK, field("block_after"))? as u32;
    let (within, first) = (span(io, BLOCK + 1, field("block_within"))?, span(io, BLOCK + 2, field("block_duration"))?);
    let most = io.option(BLOCK + 4).map(|_| span(io, BLOCK + 4, field("block_max"))).transpose()?;
    Ok(Some(Block::new(after, within, first, io.get(BLOCK + 3), most)?))
}

fn config(io: Io, call: Call) -> Result<LimiterConfig, Failure> {
    let [rate, fastest] = call.texts(scope::OWN)?;
    let algorithm = Algorithm::ALL[io.get(ALGORITHM) as usize];
    let has_fastest = io.get(HAS_FASTEST) != 0.0;
    Ok(LimiterConfig {
        max_keys: whole(io, MAX_KEYS, LIMITER_SETTINGS.field("max_keys"))? as usize,
        fastest: if has_fastest {
            Some(quota(&LIMITER_SETTINGS, io, FASTEST, fastest).map_err(|error| error.within("fastest"))?)
        } else {
            None
        },
        block: block(io)?,
        warm_up: warm_up(io, WARM_UP)?,
        mode: mode(io, MODE),
        huge_pages: io.get(HUGE_PAGES) != 0.0,
        ..LimiterConfig::new(algorithm, quota(&LIMITER_SETTINGS, io, RATE, rate)?)
    })
}

/// The tier that word 2 names.
#[inline]
fn tier(tiers: &Table<Tier>, io: Io) -> Result<Option<Tier>, Failure> {
    match io.word(2) {
        NO_TIER => Ok(None),
        place => tiers.at(place, |tier| *tier).map(Some),
    }
}

/// Exports the operations; the cost is word 1.
pub(crate) fn export(
    kind: &Kind<Arc<RateLimiter>>,
    tiers: Rc<Table<Tier>>,
    clocks: Rc<Table<Entry>>,
) -> napi::Result<()> {
    kind.operation("create", move |limiters, io, call| {
        let config = config(io, call)?;
        let (limiter, lives) = scope::make(
            &clocks,
            io,
            call,
            |at| RateLimiter::in_arena(at.arena, at.name, config, at.on_conflict),
            |clock| Ok(RateLimiter::with_config(config, clock)?),
        )?;
        let memory = limiter.memory();
        call.adopt(limiters, io, Arc::new(limiter), memory)?;
        lives.told(call)
    })?;
    decisions(kind, &tiers)?;
    kind.keyed("penalize", |limiters, io, call| {
        let wait = duration(io.get(0));
        call.with_key(|key| limiters.with(io, |limiter| io.answer(limiter.penalize(key, wait))))?;
        Ok(Reply::Nothing)
    })?
    .keyed("reset", |limiters, io, call| {
        call.with_key(|key| limiters.with(io, |limiter| limiter.reset(key)))?;
        Ok(Reply::Nothing)
    })?
    .keyed("hit", |limiters, io, call| {
        let count = |limiter: &Arc<RateLimiter>, key: &[u8]| {
            let now = limiter.clock().now();
            limiter.hit_at(now, key, io.word(1)).map(|hits| (hits, now))
        };
        let (hits, now) = call.with_key(|key| Ok(limiters.with(io, |limiter| count(limiter, key))??))?;
        // The reading too: to ask for the time of day at each hit costs JavaScript a fifth of it.
        io.set([f64::from(hits.count), ms(hits.reset_after_ns), ms(now)]);
        Ok(Reply::Nothing)
    })?
    .operation("resetAll", |limiters, io, _| {
        limiters.with(io, |limiter| limiter.reset_all())?;
        Ok(Reply::Nothing)
    })?
    .operation("setQuota", |limiters, io, call| {
        let quota = quota(&LIMITER_SETTINGS, io, RATE, call.text()?)?;
        limiters.with(io, |limiter| limiter.set_quota(quota))??;
        Ok(Reply::Nothing)
    })?
    .operation("tier", move |limiters, io, call| {
        let quota = quota(&LIMITER_SETTINGS, io, RATE, call.text()?)?;
        let tier = limiters.with(io, |limiter| limiter.tier(quota))??;
        call.adopt(&tiers, io, tier, 0)
    })?
    // Whether it refuses what is too much: it is neither switched off nor a dry run.
    .operation("refuses", |limiters, io, _| {
        limiters.with(io, |limiter| io.answer(limiter.mode() == Mode::Enforce))?;
        Ok(Reply::Nothing)
    })?
    .operation("quota", |limiters, io, _| {
        let quota = limiters.with(io, |limiter| limiter.quota())?;
        let period_ms = quota.period().as_nanos() as f64 / 1e6;
        io.set([quota.count() as f64, period_ms, f64::from(quota.burst())]);
        Ok(Reply::Nothing)
    })?
    .operation("size", |limiters, io, _| {
        io.set([limiters.with(io, |limiter| limiter.len())? as f64]);
        Ok(Reply::Nothing)
    })?
    .operation("stats", |limiters, io, _| {
        io.set(stats::limiter(&limiters.with(io, |limiter| limiter.stats())?));
        Ok(Reply::Nothing)
    })?;
    Ok(())
}

/// Those that a request waits for.
fn decisions(kind: &Kind<Arc<RateLimiter>>, tiers: &Rc<Table<Tier>>) -> napi::Result<()> {
    let mine = Rc::clone(tiers);
    // As `refused` of a bucket, for the tier that word 2 names.
    kind.operation("refused", move |limiters, io, call| {
        let [name] = call.texts(1)?;
        let quota = match tier(&mine, io)? {
            Some(tier) => tier.quota(),
            None => limiters.with(io, |limiter| limiter.quota())?,
        };
        refused(call, io, Refusal::of_limiter(quota, io.word(1)).named(name.as_deref()))
    })?;
    let mine = Rc::clone(tiers);
    kind.keyed("tryAcquire", move |limiters, io, call| {
        let tier = tier(&mine, io)?;
        call.with_key(|key| {
            limiters.with(io, |limiter| {
                let n = io.word(1);
                io.answer(match &tier {
                    None => limiter.try_acquire(key, n),
                    Some(tier) => limiter.try_acquire_tier(key, n, tier),
                });
            })
        })?;
        Ok(Reply::Nothing)
    })?;
    let mine = Rc::clone(tiers);
    kind.keyed("check", move |limiters, io, call| {
        let tier = tier(&mine, io)?;
        call.with_key(|key| {
            limiters.with(io, |limiter| {
                let n = io.word(1);
                let decision = match &tier {
                    None => limiter.check(key, n),
                    Some(tier) => limiter.check_tier(key, n, tier),
                };
                answer(io, &decision);
            })
        })?;
        Ok(Reply::Nothing)
    })?;
    let mine = Rc::clone(tiers);
    kind.keyed("peek", move |limiters, io, call| {
        let tier = tier(&mine, io)?;
        call.with_key(|key| limiters.with(io, |limiter| answer(io, &limiter.peek(key, tier.as_ref()))))?;
        Ok(Reply::Nothing)
    })?;
    let mine = Rc::clone(tiers);
    kind.keyed("refund", move |limiters, io, call| {
        let tier = tier(&mine, io)?;
        call.with_key(|key| limiters.with(io, |limiter| limiter.refund(key, io.word(1), tier.as_ref())))?;
        Ok(Reply::Nothing)
    })?;
    Ok(())
}
