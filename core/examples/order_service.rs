//! The order service on threads: limiter (may this client?) → queue (can we now?) → breaker (is payment alive?).
//!
//! `cargo run --release -p tidegate --example order_service`

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tidegate::breaker::CallError;
use tidegate::{BoundedQueue, BreakerConfig, CircuitBreaker, QueueConfig, Quota, TokenBucket};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let door = TokenBucket::new("400/s".parse::<Quota>()?.with_burst(800)?);
    let orders = BoundedQueue::new(QueueConfig::new(1_000))?;
    let config = BreakerConfig { cooldown: Duration::from_millis(300), ..BreakerConfig::default() };
    let payment = CircuitBreaker::new("payment", config)?;
    let (start, paid) = (Instant::now(), AtomicU64::new(0));

    // Fails for half a second in the middle.
    let provider = || match start.elapsed().as_millis() {
        1_000..1_500 => Err("payment provider is down"),
        _ => Ok(thread::sleep(Duration::from_millis(2))),
    };
    let work = || {
        while let Ok(order) = orders.pop(None) {
            loop {
                match payment.call(provider) {
                    Ok(()) => break,
                    // An open circuit says when to come back; the order stays with this worker.
                    Err(CallError::Rejected(rejected)) => {
                        thread::sleep(rejected.retry_after().unwrap_or(Duration::from_secs(1)));
                    }
                    Err(CallError::Failed(error)) => {
                        eprintln!("order {order}: {error}, trying again");
                        thread::sleep(Duration::from_millis(20));
                    }
                }
            }
            paid.fetch_add(1, Ordering::Relaxed);
        }
    };

    let (mut accepted, mut limited, mut full) = (0, 0, 0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(work);
        }
        // 5,000 orders a second, for two seconds.
        for order in 0..10_000_u32 {
            match door.try_acquire(1).then(|| orders.try_push(order)) {
                None => limited += 1,
                Some(Err(_)) => full += 1,
                Some(Ok(_)) => accepted += 1,
            }
            thread::sleep((start + Duration::from_micros(200) * order).saturating_duration_since(Instant::now()));
        }
        orders.close();
    });
    println!("accepted {accepted}, 429 {limited}, 503 {full}, paid {}", paid.load(Ordering::Relaxed));
    println!("circuit: {:?}", payment.events_since(0).iter().map(|event| event.kind).collect::<Vec<_>>());
    assert_eq!(accepted, paid.into_inner(), "nothing accepted is lost");
    Ok(())
}
