//! `ClientThrottle` behind the vectors' vocabulary.

use std::time::Duration;
use tidegate::limit::Mode;
use tidegate::{Arena, ClientThrottle, ClientThrottleConfig, Clock, ManualClock, OnConflict};
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::throttle::{Answer, Config, Op};

/// A throttle of the process, and one in an arena that two handles use in turns: they must never differ.
#[derive(Debug)]
pub(crate) struct CoreThrottle {
    own: ClientThrottle,
    shared: [ClientThrottle; 2],
    clock: ManualClock,
}

impl Subject for CoreThrottle {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let clock = ManualClock::new(start);
        let config = ClientThrottleConfig {
            k: config.k,
            window: Duration::from_nanos(config.window_ns.0),
            min_calls: config.min_calls,
            max_rejection: config.max_rejection,
            force_pass: Duration::from_nanos(config.force_pass_ns.0),
            mode: Mode::of(Some(config.enabled), config.dry_run),
        };
        let arena = Arena::private("subject", 1 << 20, Clock::from(&clock)).expect("an arena");
        let open = || ClientThrottle::in_arena(&arena, "it", config, OnConflict::Error).expect("sound settings");
        let own = ClientThrottle::with_clock(config, Clock::from(&clock)).expect("sound settings");
        Self { own, shared: [open(), open()], clock }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.clock.set(now);
        self.shared.rotate_left(1);
        let (own, shared) = (answer(&self.own, op), answer(&self.shared[0], op));
        assert_eq!(own, shared, "{op:?} at {now}: in the process, and in an arena");
        own
    }
}

fn answer(throttle: &ClientThrottle, op: &Op) -> Answer {
    match *op {
        Op::TryAcquire { draw } => Answer::Ok { ok: throttle.try_acquire(draw) },
        Op::Report { accepted } => {
            if accepted {
                throttle.accepted()
            } else {
                throttle.refused()
            }
            Answer::Nothing {}
        }
        Op::Probability {} => Answer::Probability { probability: throttle.probability() },
        Op::RetryAfter {} => Answer::RetryAfter { retry_after_ns: Ns(throttle.retry_after_ns()) },
        Op::Stats {} => {
            let stats = throttle.stats();
            Answer::Stats {
                accepted: stats.accepted,
                refused: stats.refused,
                rejected: stats.rejected,
                would_reject: stats.would_reject,
                forced: stats.forced,
                window_requests: stats.window_requests,
                window_accepts: stats.window_accepts,
            }
        }
    }
}
