//! Interleavings of the second step: a permit and the limits, against each other and against another limit. Run:
//! `RUSTFLAGS="--cfg loom" cargo test -p tidegate --lib --profile loom loom_`.

use super::take::{Charge, Lost, take};
use crate::concurrency::{ConcurrencyConfig, ConcurrencyLimiter, ConcurrencyPermit, Partition};
use crate::limit::{BucketConfig, LimitSet, Mode};
use crate::{ManualClock, TokenBucket};
use loom::thread;
use std::sync::Arc;

struct Parts {
    calls: ConcurrencyLimiter,
    bucket: Arc<TokenBucket>,
    limits: LimitSet,
}

fn parts(limit: u32, burst: u64) -> Arc<Parts> {
    let clock = ManualClock::new(0);
    let config = ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::new(limit) };
    let calls = ConcurrencyLimiter::with_config(config, (&clock).into()).unwrap();
    let quota = "1/s".parse::<crate::Quota>().unwrap().with_burst(burst).unwrap();
    let options = BucketConfig { mode: Mode::Enforce, ..BucketConfig::default() };
    let bucket = Arc::new(TokenBucket::with_options(quota, options, (&clock).into()).unwrap());
    let limits = LimitSet::new([("all", bucket.clone().into())]).unwrap();
    Arc::new(Parts { calls, bucket, limits })
}

impl Parts {
    /// Look, then take; `None`: refused.
    fn admit(&self) -> Option<ConcurrencyPermit> {
        let keys = self.limits.keys_of(&[]).unwrap();
        let looked = self.limits.look_at(0, &keys, 1);
        if looked.refuses() {
            return None;
        }
        let mut charge = Charge { limits: &self.limits, now: 0, keys: &keys, n: 1, looked };
        match take(Some((&self.calls, Partition::default())), Some(&mut charge)) {
            Ok((permit, told)) => {
                assert!(told.is_some_and(|told| told.denied_by.is_none()));
                Some(permit)
            }
            Err(Lost::Concurrency | Lost::Limits(_)) => None,
        }
    }

    fn left(&self) -> u32 {
        self.bucket.peek_at(0).remaining
    }
}

fn model(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

#[test]
fn loom_who_loses_the_last_token_keeps_no_permit() {
    model(3, || {
        let parts = parts(2, 1);
        let other = parts.clone();
        let thread = thread::spawn(move || other.admit());
        let mine = parts.admit();
        let held: Vec<_> = thread.join().unwrap().into_iter().chain(mine).collect();
        assert_eq!(held.len(), 1, "one token, one call");
        assert_eq!((parts.left(), parts.calls.in_use()), (0, 1));
        assert!(held.into_iter().all(|permit| parts.calls.release(permit)));
        assert_eq!(parts.calls.in_use(), 0);
    });
}

#[test]
fn loom_who_loses_the_last_permit_takes_no_token() {
    model(3, || {
        let parts = parts(1, 2);
        let other = parts.clone();
        let thread = thread::spawn(move || other.admit());
        let mine = parts.admit();
        let held: Vec<_> = thread.join().unwrap().into_iter().chain(mine).collect();
        assert_eq!(held.len(), 1, "one permit, one call");
        assert_eq!((parts.left(), parts.calls.in_use()), (1, 1));
    });
}

#[test]
fn loom_a_lowered_limit_against_takers() {
    model(2, || {
        let parts = parts(2, 3);
        let first = parts.admit().unwrap();
        let taker = thread::spawn({
            let parts = parts.clone();
            move || parts.admit()
        });
        parts.calls.set_limit(1).unwrap();
        // From here on the limit is 1: whoever is let in now finds nobody.
        assert!(parts.calls.release(first));
        let late = parts.admit();
        let early = taker.join().unwrap();
        assert!(late.is_none() || early.is_none(), "two at once after the limit was lowered to one");
        let admitted = 1 + u32::from(late.is_some()) + u32::from(early.is_some());
        assert_eq!(parts.left(), 3 - admitted, "each that was let in has paid, and nobody else");
    });
}
