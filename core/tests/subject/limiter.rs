//! `RateLimiter` behind the vectors' vocabulary. Goes with `settings.rs`.

use crate::settings::{answer, limiter, quota};
use std::time::Duration;
use tidegate::ManualClock;
use tidegate::limit::{LimiterStats, RateLimiter, Tier};
use tidegate_model::format::Subject;
use tidegate_model::script::limiter::{Answer, Config, Op, QuotaConfig};

/// A limiter and its clock.
#[derive(Debug)]
pub(crate) struct CoreLimiter {
    limiter: RateLimiter,
    clock: ManualClock,
}

impl Subject for CoreLimiter {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let clock = ManualClock::new(start);
        let limiter = limiter(config, &clock).expect("sound settings");
        Self { limiter, clock }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.clock.set(now);
        let limiter = &self.limiter;
        match op {
            Op::TryAcquire { key, n, tier } => {
                let key = key.bytes();
                let ok = match self.tier(tier) {
                    None => limiter.try_acquire(&key, *n),
                    Some(tier) => limiter.try_acquire_tier(&key, *n, &tier),
                };
                return Answer::Ok { ok };
            }
            Op::Check { key, n, tier } => {
                let key = key.bytes();
                return Answer::Decision(answer(match self.tier(tier) {
                    None => limiter.check(&key, *n),
                    Some(tier) => limiter.check_tier(&key, *n, &tier),
                }));
            }
            Op::Peek { key, tier } => {
                return Answer::Decision(answer(limiter.peek(&key.bytes(), self.tier(tier).as_ref())));
            }
            Op::Refund { key, n, tier } => limiter.refund(&key.bytes(), *n, self.tier(tier).as_ref()),
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

impl CoreLimiter {
    fn tier(&self, quota_config: &Option<QuotaConfig>) -> Option<Tier> {
        quota_config.map(|config| {
            let quota = quota(config).expect("a sound quota");
            self.limiter.tier(quota).expect("a quota that fits")
        })
    }
}
