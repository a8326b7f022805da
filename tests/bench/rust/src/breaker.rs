//! Circuit breaker, closed, calls that succeed, beside recloser, failsafe and tower-resilience. Windows of 20 calls
//! where there is one.

use crate::floor;
use crate::harness::{Contender, Plan, Row};
use failsafe::CircuitBreaker as _;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;
use tidegate::CircuitBreaker;
use tidegate::breaker::overdue::Overdue;
use tidegate::breaker::{BreakerConfig, Outcome};
use tower_layer::Layer;
use tower_resilience_circuitbreaker::CircuitBreakerLayer;
use tower_service::Service;

const WINDOW: u32 = 20;

pub fn rows(plan: &Plan) {
    plan.measure(Row {
        work: "breaker, closed, success, 1 thread",
        threads: 1,
        floor: Some("fetch_add"),
        targets: &[("recloser", 1.0)],
        contenders: contenders(),
    });
    plan.measure(Row {
        work: "breaker, closed, success, 2 threads",
        threads: 2,
        floor: Some("fetch_add"),
        targets: &[("recloser", 0.5)],
        contenders: contenders(),
    });
    plan.measure(Row {
        work: "breaker, closed, timed success, 1 thread",
        threads: 1,
        floor: None,
        targets: &[],
        contenders: vec![timed(), watched()],
    });
}

fn timed_breaker() -> CircuitBreaker {
    let config = BreakerConfig { slow_call_duration: Some(Duration::from_secs(1)), ..BreakerConfig::default() };
    CircuitBreaker::new("bench", config).expect("sound")
}

/// Calls of which some could be slow.
fn timed() -> Contender {
    Contender::new("tidegate", || {
        let breaker = timed_breaker();
        move || {
            if let Ok(permit) = black_box(&breaker).acquire() {
                breaker.report(permit, black_box(Outcome::Success), None);
            }
        }
    })
}

/// What `count_overdue` adds, which the bindings of Python and Node have for this reason, and the others have not.
fn watched() -> Contender {
    Contender::new("tidegate, overdue calls counted", || {
        let (breaker, overdue) = (timed_breaker(), Overdue::default());
        overdue.switch(true);
        move || {
            if let Ok(permit) = black_box(&breaker).acquire() {
                let permit = overdue.begin(&breaker, permit);
                if let Some(permit) = overdue.end(&breaker, black_box(permit)) {
                    breaker.report(permit, black_box(Outcome::Success), None);
                }
            }
        }
    })
}

fn contenders() -> Vec<Contender> {
    vec![tidegate(), tidegate_call(), recloser(), failsafe(), tower_resilience(), floor::fetch_add()]
}

fn ours() -> CircuitBreaker {
    CircuitBreaker::new("bench", BreakerConfig::default()).expect("the defaults are valid")
}

fn tidegate() -> Contender {
    Contender::new("tidegate", || {
        let breaker = ours();
        move || {
            if let Ok(permit) = black_box(&breaker).acquire() {
                breaker.report(permit, black_box(Outcome::Success), None);
            }
        }
    })
}

fn tidegate_call() -> Contender {
    Contender::new("tidegate call()", || {
        let breaker = ours();
        move || black_box(&breaker).call(|| black_box(Ok::<(), ()>(())))
    })
}

fn recloser() -> Contender {
    Contender::new("recloser", || {
        let breaker = recloser::Recloser::custom().closed_len(WINDOW as usize).build();
        move || black_box(&breaker).call(|| black_box(Ok::<(), ()>(())))
    })
}

fn failsafe() -> Contender {
    Contender::new("failsafe", || {
        let breaker = failsafe::Config::new().build();
        move || black_box(&breaker).call(|| black_box(Ok::<(), ()>(())))
    })
}

/// What a request costs: the service, which clones of it share, is ready, called, and its future polled to the end.
fn tower_resilience() -> Contender {
    #[derive(Clone)]
    struct Works;
    impl Service<()> for Works {
        type Response = ();
        type Error = ();
        type Future = Ready<Result<(), ()>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, (): ()) -> Self::Future {
            ready(black_box(Ok(())))
        }
    }
    Contender::looping("tower-resilience", || {
        let layer =
            CircuitBreakerLayer::builder().sliding_window_size(WINDOW as usize).build().expect("valid settings");
        let service = layer.layer(Works);
        Box::new(move |times| {
            let mut service = service.clone();
            let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
            let context = &mut Context::from_waker(&waker);
            for _ in 0..times {
                assert!(service.poll_ready(context).is_ready(), "closed");
                let mut call = pin!(service.call(()));
                // Its lock is asynchronous: contended, it has the task woken later.
                let answer = loop {
                    match call.as_mut().poll(context) {
                        Poll::Ready(answer) => break answer,
                        Poll::Pending => std::thread::park(),
                    }
                };
                assert!(black_box(answer).is_ok(), "the call works");
            }
        })
    })
}

/// Wakes a thread that runs one future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
