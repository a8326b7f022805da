//! Figures of an arena whose workers are killed: what they counted stays, in whichever process the page is made.
#![cfg(target_os = "linux")]

mod children;
#[path = "arena/support.rs"]
#[allow(dead_code, reason = "shared with the arena's tests")]
mod support;

use children::{GENEROUS, child, ends_well, kill, until};
use support::Place;
use tidegate::breaker::Outcome;
use tidegate::metrics::{Metrics, MetricsFormat};
use tidegate::{Arena, BreakerConfig, CircuitBreaker, OnConflict};

const CALLS: u64 = 10_000;

fn host(place: &Place) -> CircuitBreaker {
    let arena = Arena::open(&place.options("api")).expect("an arena");
    CircuitBreaker::in_arena(&arena, "payment", BreakerConfig::default(), OnConflict::Error).expect("a breaker")
}

/// Successes and failures, as a page says.
fn page(place: &Place) -> [u64; 2] {
    let mut metrics = Metrics::new();
    metrics.add_arena(&Arena::open(&place.options("api")).expect("an arena"));
    let page = metrics.render(MetricsFormat::Prometheus);
    ["success", "failure"].map(|outcome| {
        let series = format!(r#"tidegate_calls_total{{scope="host:api",name="payment",outcome="{outcome}"}} "#);
        let line = page.lines().find_map(|line| line.strip_prefix(&series)).expect("a series");
        line.parse().expect("a count")
    })
}

fn calls(breaker: &CircuitBreaker) {
    for call in 0..CALLS {
        let outcome = if call % 10 == 0 { Outcome::Failure } else { Outcome::Success };
        breaker.report(breaker.acquire().expect("passes"), outcome, None);
    }
}

#[test]
fn calls_of_killed_workers_are_counted_and_no_count_falls() {
    let place = Place::new();
    host(&place).metrics_only();
    let mut before = [0, 0];
    for round in 1..=3 {
        let workers = [(); 3].map(|()| {
            child(|| {
                calls(&host(&place));
                loop {
                    std::thread::sleep(GENEROUS);
                }
            })
        });
        let all = 3 * round * CALLS;
        until("all calls are counted", || {
            let now = page(&place);
            assert!(now[0] >= before[0] && now[1] >= before[1], "{now:?} after {before:?}");
            before = now;
            now == [all / 10 * 9, all / 10]
        });
        workers.into_iter().for_each(kill);
        // By another process.
        ends_well(child(|| page(&place) == before));
    }
}
