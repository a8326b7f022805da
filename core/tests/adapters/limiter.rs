//! `RateLimiter` behind the vectors' vocabulary. Goes with `settings.rs`.

use crate::settings::{answer, arena, limiter, limiter_in, quota};
use std::time::Duration;
use tidegate::ManualClock;
use tidegate::limit::{LimiterStats, RateLimiter, Tier};
use tidegate_model::format::Subject;
use tidegate_model::script::limiter::{Answer, Config, Op, QuotaConfig};

/// A limiter of the process, and one in an arena that two handles use in turns: they must never differ.
#[derive(Debug)]
pub(crate) struct CoreLimiter {
    own: Side,
    shared: Side,
    clock: ManualClock,
}

/// Handles of one limiter, used in turns.
#[derive(Debug)]
struct Side(Vec<RateLimiter>);

impl Subject for CoreLimiter {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let clock = ManualClock::new(start);
        let own = vec![limiter(config, &clock).expect("sound settings")];
        let arena = arena(&clock);
        let shared = vec![limiter_in(&arena, "it", config), limiter_in(&arena, "it", config)];
        Self { own: Side(own), shared: Side(shared), clock }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.clock.set(now);
        let (own, shared) = (self.own.apply(op), self.shared.apply(op));
        assert_eq!(own, shared, "{op:?} at {now}: in the process, and in an arena");
        own
    }
}

impl Side {
    fn apply(&mut self, op: &Op) -> Answer {
        self.0.rotate_left(1);
        let limiter = &self.0[0];
        match op {
            Op::TryAcquire { key, n, tier } => {
                let key = key.bytes();
                let ok = match tier_of(limiter, tier) {
                    None => limiter.try_acquire(&key, *n),
                    Some(tier) => limiter.try_acquire_tier(&key, *n, &tier),
                };
                return Answer::Ok { ok };
            }
            Op::Check { key, n, tier } => {
                let key = key.bytes();
                return Answer::Decision(answer(match tier_of(limiter, tier) {
                    None => limiter.check(&key, *n),
                    Some(tier) => limiter.check_tier(&key, *n, &tier),
                }));
            }
            Op::Peek { key, tier } => {
                return Answer::Decision(answer(limiter.peek(&key.bytes(), tier_of(limiter, tier).as_ref())));
            }
            Op::Refund { key, n, tier } => limiter.refund(&key.bytes(), *n, tier_of(limiter, tier).as_ref()),
            Op::Penalize { key, wait_ns } => {
                assert!(limiter.penalize(&key.bytes(), Duration::from_nanos(wait_ns.0)), "there is room");
            }
            Op::Reset { key } => limiter.reset(&key.bytes()),
            Op::ResetAll {} => limiter.reset_all(),
            &Op::SetQuota { count, period_ns, burst } => {
                let next = quota(QuotaConfig { count, period_ns, burst }).expect("a sound quota");
                limiter.set_quota(next).expect("a quota that fits");
            }
            Op::Stats {} => {
                let LimiterStats { admitted, denied, would_deny, .. } = limiter.stats();
                return Answer::Stats { admitted, denied, would_deny };
            }
        }
        Answer::Nothing {}
    }
}

fn tier_of(limiter: &RateLimiter, config: &Option<QuotaConfig>) -> Option<Tier> {
    config.map(|config| limiter.tier(quota(config).expect("a sound quota")).expect("a quota that fits"))
}
