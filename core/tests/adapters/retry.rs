//! `RetryPolicy` behind the vectors' vocabulary.

use std::time::Duration;
use tidegate::retry::{Jitter, Next, RetryConfig, RetryPolicy};
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::retry::{Answer, Config, End, JitterName, Op};

/// One call's retries.
#[derive(Debug)]
pub(crate) struct CoreRetry {
    policy: RetryPolicy,
    previous: f64,
}

fn duration(ns: Ns) -> Duration {
    Duration::from_nanos(ns.0)
}

impl Subject for CoreRetry {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, _start: u64) -> Self {
        let config = RetryConfig {
            attempts: config.attempts,
            base: duration(config.base_ns),
            factor: config.factor,
            max_delay: duration(config.max_delay_ns),
            jitter: match config.jitter {
                JitterName::None => Jitter::None,
                JitterName::Full => Jitter::Full,
                JitterName::Equal => Jitter::Equal,
                JitterName::Decorrelated => Jitter::Decorrelated,
                JitterName::Smooth => Jitter::Smooth,
            },
            deadline: config.deadline_ns.map(duration),
            max_retry_after: duration(config.max_retry_after_ns),
        };
        Self { policy: RetryPolicy::new(config).expect("sound settings"), previous: 0.0 }
    }

    fn apply(&mut self, _now: u64, op: &Op) -> Answer {
        match *op {
            Op::Delay { n, draw } => {
                Answer::Delay { delay_ns: Ns(self.policy.backoff().delay_ns(n, draw, &mut self.previous)) }
            }
            Op::Failed { attempts, draw, retry_after_ns, elapsed_ns } => {
                let told = retry_after_ns.map(duration);
                match self.policy.next(attempts, draw, &mut self.previous, told, duration(elapsed_ns)) {
                    Next::Wait(wait) => Answer::Wait { wait_ns: Ns(wait.as_nanos() as u64) },
                    Next::Exhausted => Answer::GaveUp { gave_up: End::Attempts },
                    Next::PastDeadline => Answer::GaveUp { gave_up: End::Deadline },
                }
            }
        }
    }
}
