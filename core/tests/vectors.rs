//! Plays `tests/vectors/*.json`, which every binding plays. See the README there.

#[path = "adapters/adaptive.rs"]
mod adaptive;
#[path = "adapters/breaker.rs"]
mod breaker;
#[path = "adapters/bucket.rs"]
mod bucket;
#[path = "adapters/budget.rs"]
mod budget;
#[path = "adapters/concurrency.rs"]
mod concurrency;
#[path = "adapters/gate.rs"]
mod gate;
#[path = "adapters/limiter.rs"]
mod limiter;
#[path = "adapters/partitions.rs"]
mod partitions;
#[path = "adapters/queue.rs"]
mod queue;
#[path = "adapters/registry.rs"]
mod registry;
#[path = "adapters/retry.rs"]
mod retry;
#[path = "adapters/set.rs"]
mod set;
#[path = "adapters/settings.rs"]
mod settings;
#[path = "adapters/shed.rs"]
mod shed;
#[path = "adapters/throttle.rs"]
mod throttle;

use serde_json::Value;
use std::fmt::Write;
use tidegate_model::format::{Case, File, Step, Subject, expectation};

#[test]
fn token_bucket() {
    play::<bucket::CoreBucket>("token_bucket");
}

#[test]
fn circuit_breaker() {
    play::<breaker::CoreBreaker>("circuit_breaker");
}

#[test]
fn breaker_registry() {
    play::<registry::CoreRegistry>("breaker_registry");
}

#[test]
fn bounded_queue() {
    play::<queue::CoreQueue>("bounded_queue");
}

#[test]
fn concurrency_limiter() {
    play::<concurrency::CoreLimiter>("concurrency_limiter");
    play::<concurrency::InArena>("concurrency_limiter");
}

#[test]
fn adaptive_limiter() {
    play::<adaptive::CoreAdaptive>("adaptive_limiter");
    play::<adaptive::InArena>("adaptive_limiter");
}

#[test]
fn partitioned_limiter() {
    play::<partitions::CorePartitions>("partitioned_limiter");
    play::<partitions::InArena>("partitioned_limiter");
}

#[test]
fn rate_limiter() {
    play::<limiter::CoreLimiter>("rate_limiter");
}

#[test]
fn limit_set() {
    play::<set::CoreSet>("limit_set");
}

#[test]
fn retry_policy() {
    play::<retry::CoreRetry>("retry_policy");
}

#[test]
fn retry_budget() {
    play::<budget::CoreBudget>("retry_budget");
}

#[test]
fn client_throttle() {
    play::<throttle::CoreThrottle>("client_throttle");
}

#[test]
fn load_shedder() {
    play::<shed::CoreShedder>("load_shedder");
}

#[test]
fn gate() {
    play::<gate::CoreGate>("gate");
}

/// Plays every case of a file and fails with all that went wrong. This binding skips nothing: what it cannot read is an
/// error.
fn play<S: Subject>(primitive: &str)
where
    S::Config: serde::de::DeserializeOwned,
    S::Op: serde::de::DeserializeOwned + std::fmt::Debug,
{
    let path = format!("{}/../tests/vectors/{primitive}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file: File<S::Config, S::Op> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!((file.version, file.primitive.as_str()), (1, primitive));
    assert!(!file.cases.is_empty(), "a file without cases proves nothing");

    let mut wrong = String::new();
    let mut failed = 0;
    for case in &file.cases {
        if let Err(story) = play_case::<S>(case) {
            failed += 1;
            wrong.push_str(&story);
        }
    }
    let steps: usize = file.cases.iter().map(|case| case.steps.len()).sum();
    let passed = file.cases.len() - failed;
    println!("vectors {primitive}: {passed} passed, 0 skipped, {failed} failed ({steps} steps)");
    assert!(failed == 0, "{failed} of {} cases failed:\n{wrong}", file.cases.len());
}

fn play_case<S: Subject>(case: &Case<S::Config, S::Op>) -> Result<(), String>
where
    S::Op: std::fmt::Debug,
{
    let mut subject = S::make(&case.config, case.start_ns.0);
    for (number, Step { at_ns, op, expect }) in case.steps.iter().enumerate() {
        let answer: Value = expectation(&subject.apply(at_ns.0, op));
        if answer != *expect {
            let mut story = format!("{} ({})\n", case.name, case.why);
            writeln!(story, "  step {number} at {} ns: {op:?}\n  expected {expect}\n  answered {answer}", at_ns.0)
                .expect("a String takes everything");
            return Err(story);
        }
    }
    Ok(())
}
