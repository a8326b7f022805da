//! Any calls with any settings: at times that only go on every answer is the model's; at any times at all it holds
//! together and never panics.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use tidegate::limit::{Algorithm, Block, LimiterConfig, Mode, RateLimiter, Tier, WarmUp};
use tidegate::{Clock, Decision, ManualClock, Quota};
use tidegate_model::keyed::{self, Limiter as Model, Settings};

const S: u64 = 1_000_000_000;
/// The finest ticks come round after 52 days: a limiter that nobody used for just so long may deny early.
const LAST: u64 = 50 * 86_400 * S;

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Rate {
    count: u32,
    period_ns: u64,
    burst: u32,
}

#[derive(Arbitrary, Debug)]
enum Act {
    Take(u32),
    Check(u32),
    Peek,
    Refund(u32),
    Penalize(u64),
    Reset,
    ResetAll,
    SetQuota,
}

#[derive(Arbitrary, Debug)]
struct Call {
    /// Nanoseconds to go on; or the time itself.
    time: u64,
    short: bool,
    key: u8,
    tiered: bool,
    act: Act,
}

#[derive(Arbitrary, Debug)]
struct Case {
    algorithm: u8,
    rate: Rate,
    fastest: Option<Rate>,
    tier: Rate,
    block: Option<(u8, u32, u32, u8)>,
    warm_up: Option<(u32, u8)>,
    dry_run: bool,
    any_time: bool,
    max_keys: u8,
    start: u32,
    calls: Vec<Call>,
}

fn quota(rate: Rate) -> Option<(Quota, keyed::Quota)> {
    let Rate { count, period_ns, burst } = rate;
    let quota = Quota::new(count.into(), Duration::from_nanos(period_ns)).ok()?.with_burst(burst.into()).ok()?;
    Some((quota, keyed::Quota { count: count.into(), period_ns, burst }))
}

fn algorithms(number: u8) -> (Algorithm, keyed::Algorithm) {
    match number % 5 {
        0 => (Algorithm::TokenBucket, keyed::Algorithm::TokenBucket),
        1 => (Algorithm::FixedWindow, keyed::Algorithm::FixedWindow),
        2 => (Algorithm::SlidingWindow, keyed::Algorithm::SlidingWindow),
        3 => (Algorithm::SlidingLog, keyed::Algorithm::SlidingLog),
        _ => (Algorithm::LeakyBucket, keyed::Algorithm::LeakyBucket),
    }
}

fn make(case: &Case) -> Option<(RateLimiter, Model)> {
    let (core_algorithm, model_algorithm) = algorithms(case.algorithm);
    let (quota_of_core, quota_of_model) = quota(case.rate)?;
    // A log's table is its keys times its limit; a decision looks at all of it.
    if core_algorithm == Algorithm::SlidingLog && case.rate.burst.max(case.fastest.map_or(0, |rate| rate.burst)) > 100 {
        return None;
    }
    let fastest = match case.fastest {
        None => None,
        Some(rate) => Some(quota(rate)?),
    };
    let ns = |ms: u32| u64::from(ms) * 1_000_000;
    let block = match case.block {
        None => None,
        Some((after, within, duration, growth)) => {
            let [within, duration] = [within, duration].map(|ms| Duration::from_nanos(ns(ms)));
            Block::new(after.into(), within, duration, f64::from(growth), Some(duration.saturating_mul(10))).ok()?;
            Some((after, within, duration, growth))
        }
    };
    let warm_up = case.warm_up.map(|(ms, percent)| (ns(ms), f64::from(percent) / 100.0));
    let config = LimiterConfig {
        // All of a case's keys have room: the model forgets nobody.
        max_keys: usize::from(case.max_keys) + 5_000,
        fastest: fastest.map(|(quota, _)| quota),
        block: block.map(|(after, within, duration, growth)| {
            Block::new(after.into(), within, duration, f64::from(growth), Some(duration * 10)).expect("as before")
        }),
        warm_up: match warm_up {
            None => None,
            Some((period, from)) => Some(WarmUp::new(Duration::from_nanos(period), from).ok()?),
        },
        mode: if case.dry_run { Mode::DryRun } else { Mode::Enforce },
        ..LimiterConfig::new(core_algorithm, quota_of_core)
    };
    let settings = Settings {
        fastest: fastest.map(|(_, quota)| quota),
        block: block.map(|(after, within, duration, growth)| keyed::Block {
            after: after.into(),
            within_ns: within.as_nanos() as u64,
            duration_ns: duration.as_nanos() as u64,
            growth: f64::from(growth),
            max_ns: 10 * duration.as_nanos() as u64,
        }),
        warm_up: warm_up.map(|(period_ns, from)| keyed::WarmUp { period_ns, from }),
        mode: if case.dry_run { keyed::Mode::DryRun } else { keyed::Mode::Enforce },
        ..Settings::new(model_algorithm, quota_of_model)
    };
    let start = case.start.into();
    let core = RateLimiter::with_config(config, Clock::from(ManualClock::new(start)));
    let model = Model::new(settings, start);
    assert_eq!(core.is_ok(), model.is_some(), "{:?}", core.err());
    Some((core.ok()?, model?))
}

fn same(core: Decision, model: keyed::Decision) {
    let Decision { allowed, limit, remaining, retry_after_ns, reset_after_ns, delay_ns } = core;
    assert_eq!(keyed::Decision { allowed, limit, remaining, retry_after_ns, reset_after_ns, delay_ns }, model);
}

fn sound(decision: Decision) {
    assert!(decision.remaining <= decision.limit, "{decision:?}");
    assert_eq!(decision.allowed, decision.retry_after_ns == 0, "{decision:?}");
}

fn at_any_time(core: &RateLimiter, tier: Option<Tier>, calls: &[Call]) {
    for Call { time: now, key, tiered, act, .. } in calls {
        let (now, key, tier) = (*now, [*key], tier.filter(|_| *tiered));
        match (act, tier) {
            (Act::Take(n), None) => _ = core.try_acquire_at(now, &key, *n),
            (Act::Take(n), Some(tier)) => _ = core.try_acquire_tier_at(now, &key, *n, &tier),
            (Act::Check(n), None) => sound(core.check_at(now, &key, *n)),
            (Act::Check(n), Some(tier)) => sound(core.check_tier_at(now, &key, *n, &tier)),
            (Act::Peek, tier) => sound(core.peek_at(now, &key, tier.as_ref())),
            (Act::Refund(n), tier) => core.refund_at(now, &key, *n, tier.as_ref()),
            (Act::Penalize(ns), _) => _ = core.penalize_at(now, &key, Duration::from_nanos(*ns)),
            (Act::Reset, _) => core.reset_at(now, &key),
            (Act::ResetAll, _) => core.reset_all_at(now),
            (Act::SetQuota, tier) => _ = core.set_quota(tier.map_or(core.quota(), |tier| tier.quota())),
        }
        assert!(core.len_at(now) <= 256);
    }
}

fn beside_the_model(
    core: &RateLimiter,
    model: &mut Model,
    start: u64,
    tiers: Option<(Tier, keyed::Quota)>,
    calls: &[Call],
) {
    let mut now = start;
    for Call { time, short, key, tiered, act } in calls {
        now = now.saturating_add(if *short { time % (4 * S) } else { time >> 12 });
        if now > LAST {
            return;
        }
        let (key, tiers) = ([*key], tiers.filter(|_| *tiered));
        let (tier, quota) = (tiers.map(|(tier, _)| tier), tiers.map(|(_, quota)| quota));
        match (act, tier) {
            (Act::Take(n), None) => {
                assert_eq!(core.try_acquire_at(now, &key, *n), model.try_acquire(now, &key, *n, None))
            }
            (Act::Take(n), Some(tier)) => {
                assert_eq!(core.try_acquire_tier_at(now, &key, *n, &tier), model.try_acquire(now, &key, *n, quota));
            }
            (Act::Check(n), None) => same(core.check_at(now, &key, *n), model.check(now, &key, *n, None)),
            (Act::Check(n), Some(tier)) => {
                same(core.check_tier_at(now, &key, *n, &tier), model.check(now, &key, *n, quota))
            }
            (Act::Peek, tier) => same(core.peek_at(now, &key, tier.as_ref()), model.peek(now, &key, quota)),
            (Act::Refund(n), tier) => {
                core.refund_at(now, &key, *n, tier.as_ref());
                model.refund(now, &key, *n, quota);
            }
            (Act::Penalize(ns), _) => {
                // Beyond a year a penalty is a year.
                if core.penalize_at(now, &key, Duration::from_nanos(*ns)) {
                    model.penalize(now, &key, *ns);
                }
            }
            (Act::Reset, _) => {
                core.reset_at(now, &key);
                model.reset(&key);
            }
            (Act::ResetAll, _) => {
                core.reset_all_at(now);
                model.reset_all();
            }
            (Act::SetQuota, _) => {
                if let Some((tier, quota)) = tiers {
                    core.set_quota(tier.quota()).expect("as the tier");
                    model.set_quota(quota);
                }
            }
        }
        if core.stats().overflowed > 0 {
            // From here on keys share what in the model they have alone.
            return;
        }
    }
}

fuzz_target!(|case: Case| {
    let Some((core, mut model)) = make(&case) else { return };
    let tier = quota(case.tier).and_then(|(quota, of_model)| {
        let tier = core.tier(quota).ok();
        assert_eq!(tier.is_some(), model.fits(&of_model), "{quota}");
        Some((tier?, of_model))
    });
    if case.any_time {
        at_any_time(&core, tier.map(|(tier, _)| tier), &case.calls);
    } else {
        beside_the_model(&core, &mut model, case.start.into(), tier, &case.calls);
    }
});
