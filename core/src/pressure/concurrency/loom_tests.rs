//! Interleavings of the concurrency limiter, all of them up to a number of preemptions.
//!
//! Its SeqCst accesses, which loom takes for AcqRel, are read-modify-writes under loom; see `in_order`.

use super::{ConcurrencyConfig, ConcurrencyLimiter, ConcurrencyPermit};
use crate::ManualClock;
use crate::limit::Mode;
use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn limiter(limit: u32, max_limit: u32) -> Arc<ConcurrencyLimiter> {
    let config = ConcurrencyConfig { limit, max_limit, mode: Mode::Enforce };
    Arc::new(ConcurrencyLimiter::with_config(config, ManualClock::new(0).into()).unwrap())
}

#[test]
fn loom_no_more_than_the_limit() {
    explore(3, || {
        let l = limiter(2, 2);
        let others = [0, 1].map(|_| {
            let l = l.clone();
            thread::spawn(move || l.try_acquire())
        });
        let here = l.try_acquire();
        let held: Vec<ConcurrencyPermit> =
            others.into_iter().filter_map(|other| other.join().unwrap()).chain(here).collect();
        assert!(held.len() <= 2 && !held.is_empty());
        assert_eq!(l.in_use() as usize, held.len());
        assert!(held.into_iter().all(|permit| l.release(permit)));
        assert_eq!(l.in_use(), 0);
    });
}

#[test]
fn loom_given_back_once() {
    explore(3, || {
        let l = limiter(1, 1);
        let permit = l.try_acquire().unwrap();
        let other = thread::spawn({
            let l = l.clone();
            move || (l.release(permit), l.try_acquire())
        });
        let here = l.release(permit);
        let (there, taken) = other.join().unwrap();
        assert!(here != there, "given back by exactly one");
        assert_eq!(l.in_use(), 1);
        assert!(taken.is_some_and(|permit| l.release(permit)));
    });
}

#[test]
fn loom_a_lowered_limit_against_takers() {
    explore(2, || {
        let l = limiter(2, 2);
        let first = l.try_acquire().unwrap();
        let taker = thread::spawn({
            let l = l.clone();
            move || l.try_acquire()
        });
        let setter = thread::spawn({
            let l = l.clone();
            move || l.set_limit(1).unwrap()
        });
        setter.join().unwrap();
        // From here on the limit is 1: whoever is admitted now finds nobody.
        let given = l.release(first);
        let late = l.try_acquire();
        let early = taker.join().unwrap();
        assert!(given);
        assert!(late.is_none() || early.is_none(), "two at once after the limit was lowered to one");
    });
}
