//! `TokenBucket` behind the vectors' vocabulary.

use std::collections::HashMap;
use std::time::Duration;
use tidegate::limit::{BucketConfig, Reservation, Ticket};
use tidegate::{Arena, Clock, Decision, ManualClock, OnConflict, Quota, TokenBucket};
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::bucket::{Answer, Config, Op};

/// A bucket of the process, and one in an arena that two handles use in turns: they must never differ.
#[derive(Debug)]
pub(crate) struct CoreBucket {
    own: Side,
    shared: Side,
    clock: ManualClock,
}

/// Handles of one bucket, used in turns, and the tickets it gave out.
#[derive(Debug)]
struct Side {
    handles: Vec<TokenBucket>,
    tickets: HashMap<String, Ticket>,
}

impl Subject for CoreBucket {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let clock = ManualClock::new(start);
        let quota = quota(config.count, config.period_ns, config.burst);
        let arena = Arena::private("subject", 1 << 20, Clock::from(&clock)).expect("an arena");
        let open = || TokenBucket::in_arena(&arena, "it", quota, BucketConfig::default(), OnConflict::Error);
        let shared = vec![open().expect("made"), open().expect("opened")];
        let own = vec![TokenBucket::with_clock(quota, Clock::from(&clock))];
        Self { own: Side::new(own), shared: Side::new(shared), clock }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.clock.set(now);
        let (own, shared) = (self.own.apply(op), self.shared.apply(op));
        assert_eq!(own, shared, "{op:?} at {now}: in the process, and in an arena");
        own
    }
}

impl Side {
    fn new(handles: Vec<TokenBucket>) -> Self {
        Self { handles, tickets: HashMap::new() }
    }

    fn apply(&mut self, op: &Op) -> Answer {
        self.handles.rotate_left(1);
        let bucket = &self.handles[0];
        match op {
            Op::TryAcquire { n } => return Answer::Ok { ok: bucket.try_acquire(*n) },
            Op::Check { n } => return answer(bucket.check(*n)),
            Op::Peek {} => return answer(bucket.peek()),
            Op::Reserve { n, max_wait_ns, name } => match bucket.reserve(*n, max_wait_ns.map(duration)) {
                Reservation::Booked { wait_ns, ticket } => {
                    self.tickets.insert(name.clone(), ticket);
                    return Answer::Booked { booked: true, wait_ns: Ns(wait_ns) };
                }
                Reservation::Denied { retry_after_ns } => {
                    return Answer::NotBooked { booked: false, retry_after_ns: Ns(retry_after_ns) };
                }
            },
            Op::Cancel { ticket } => return Answer::Returned { returned: bucket.cancel(self.tickets[ticket]) },
            Op::Refund { n } => bucket.refund(*n),
            Op::Penalize { wait_ns } => bucket.penalize(duration(*wait_ns)),
            Op::Reset {} => bucket.reset(),
            Op::SetQuota { count, period_ns, burst } => {
                bucket.set_quota(quota(*count, *period_ns, *burst)).expect("a quota that fits");
            }
        }
        Answer::Nothing {}
    }
}

fn quota(count: u64, period_ns: Ns, burst: u32) -> Quota {
    Quota::new(count, duration(period_ns)).and_then(|quota| quota.with_burst(burst.into())).expect("a sound quota")
}

fn duration(ns: Ns) -> Duration {
    Duration::from_nanos(ns.0)
}

fn answer(decision: Decision) -> Answer {
    let Decision { allowed, limit, remaining, retry_after_ns, reset_after_ns, .. } = decision;
    Answer::Decision {
        allowed,
        limit,
        remaining,
        retry_after_ns: Ns(retry_after_ns),
        reset_after_ns: Ns(reset_after_ns),
    }
}
