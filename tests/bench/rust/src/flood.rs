//! What a call costs while keys that nobody has seen before keep coming.

use crate::harness::{Body, Contender, Plan, Row};
use crate::keyed::{self, LIVE, Limit};
use crate::keys::Keys;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tidegate::Clock;
use tidegate::limit::{Algorithm, RateLimiter};

const MAX_KEYS: usize = 100_000;
const USERS: usize = 1000;
/// Calls with a new key for each call of a user.
const NEW: u64 = 10;
/// New keys that have come before anything is measured; more come meanwhile.
const FLOOD: u64 = 10_000_000;
/// New keys die within a second, so that the table is always full and always gives room.
const MINUTE: Limit = Limit { count: 100, seconds: 60, burst: 100 };

pub fn rows(plan: &Plan) {
    let plan = Plan { batch: Duration::from_millis(10), rounds: plan.rounds / 2, keep: usize::MAX, ..plan.clone() };
    let rows = [
        ("keyed, a call under a flood of 10 M new keys, 100 per minute", MINUTE),
        ("keyed, a call under a flood of 10 M new keys that stay live", LIVE),
    ];
    for (work, limit) in rows {
        plan.measure(Row {
            work,
            threads: 1,
            floor: None,
            targets: &[("1,000 users, no flood", 2.0)],
            contenders: vec![
                Contender::looping("tidegate", move || flood(limit)),
                quiet("1,000 users, no flood", limit, USERS),
                quiet("100,000 users, no flood", limit, MAX_KEYS),
            ],
        });
    }
}

fn limiter(limit: Limit) -> RateLimiter {
    let config = keyed::config(Algorithm::TokenBucket, limit, MAX_KEYS);
    RateLimiter::with_config(config, Clock::monotonic()).expect("a valid limiter")
}

fn quiet(name: &'static str, limit: Limit, users: usize) -> Contender {
    Contender::looping(name, move || {
        let limiter = limiter(limit);
        keyed::over(&Keys::new(users), move |key| limiter.try_acquire(key.as_bytes(), 1))
    })
}

/// Each operation is a call of a user or, ten times as often, one with a new key.
fn flood(limit: Limit) -> Body {
    let (limiter, keys, next) = (limiter(limit), Keys::new(USERS), AtomicU64::new(0));
    let calls = move |times: u64| {
        // Relaxed: only tells keys apart.
        let from = next.fetch_add(times, Ordering::Relaxed);
        let turns = times / (NEW + 1);
        for (turn, user) in keys.shuffled((from / (NEW + 1)) as usize, turns as usize).enumerate() {
            let first = from + turn as u64 * (NEW + 1);
            black_box(limiter.try_acquire(black_box(user.as_bytes()), 1));
            for number in first..first + NEW {
                black_box(limiter.try_acquire(black_box(&new_key(number)), 1));
            }
        }
    };
    calls(FLOOD / NEW * (NEW + 1));
    Box::new(calls)
}

fn new_key(number: u64) -> [u8; 17] {
    let mut key = *b"flood:...........";
    key[6..14].copy_from_slice(&number.to_le_bytes());
    key
}
