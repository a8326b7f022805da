//! What a call costs while keys that nobody has seen before keep coming.

use crate::harness::{self, Body, Contender, Plan, Row};
use crate::keyed::{self, LIVE, Limit};
use crate::keys::Keys;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread::JoinHandle;
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
    let all_calls = [
        ("keyed, flood of 10 M new keys, 100 per minute, all calls", MINUTE),
        ("keyed, flood of 10 M new keys that stay live, all calls", LIVE),
    ];
    for (work, limit) in all_calls {
        plan.measure(Row {
            work,
            threads: 1,
            floor: None,
            targets: &[("as many users as max_keys, no flood", 2.0)],
            contenders: vec![
                Contender::looping("tidegate", move || flood(limit)),
                quiet("as many users as max_keys, no flood", limit, MAX_KEYS),
                quiet("1,000 users, no flood", limit, USERS),
            ],
        });
    }
    if std::thread::available_parallelism().is_ok_and(|processors| processors.get() > 1) {
        plan.measure(Row {
            work: "keyed, flood of 10 M new keys by another thread, a user's call",
            threads: 1,
            floor: None,
            targets: &[("the other thread calls for users", 2.0)],
            contenders: vec![
                Contender::looping("tidegate", || {
                    beside(MINUTE, |limiter, number| limiter.try_acquire(&new_key(number), 1))
                }),
                Contender::looping("the other thread calls for users", || {
                    let others = Keys::new(2 * USERS);
                    beside(MINUTE, move |limiter, number| {
                        let user = others.all()[USERS + number as usize % USERS].as_bytes();
                        limiter.try_acquire(user, 1)
                    })
                }),
            ],
        });
    }
}

fn limiter(limit: Limit) -> RateLimiter {
    let config = keyed::config(Algorithm::TokenBucket, limit, MAX_KEYS);
    RateLimiter::with_config(config, Clock::monotonic()).expect("a valid limiter")
}

/// Calls of so many users in no order; their keys are made as the flood's are, so that the table is all that differs.
fn quiet(name: &'static str, limit: Limit, users: usize) -> Contender {
    Contender::looping(name, move || {
        let (limiter, next) = (limiter(limit), AtomicU64::new(0));
        let call = move |number: u64| {
            let user = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
            black_box(limiter.try_acquire(black_box(&new_key(user % users as u64)), 1))
        };
        Box::new(move |times| {
            // Relaxed: each measurement goes on where the last one ended; it publishes nothing.
            let from = next.fetch_add(times, Ordering::Relaxed);
            (from..from + times).for_each(|number| {
                call(number);
            });
        })
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

/// A call of a user, while another thread makes `call` after `call`, each with another number.
fn beside(limit: Limit, call: impl Fn(&RateLimiter, u64) -> bool + Send + 'static) -> Body {
    let limiter = Arc::new(limiter(limit));
    for number in 0..FLOOD {
        black_box(call(&limiter, number));
    }
    let other = Other::start({
        let (limiter, mut number) = (Arc::clone(&limiter), FLOOD);
        move || {
            black_box(call(&limiter, number));
            number += 1;
        }
    });
    let users = keyed::over(&Keys::new(USERS), move |key| {
        black_box(limiter.try_acquire(key.as_bytes(), 1));
        true
    });
    Box::new(move |times| other.while_it_works(|| users(times)))
}

/// A thread that works only while it is told to.
struct Other {
    state: Arc<AtomicU8>,
    thread: Option<JoinHandle<()>>,
}

const REST: u8 = 0;
const WORK: u8 = 1;
const END: u8 = 2;

impl Other {
    fn start(mut work: impl FnMut() + Send + 'static) -> Self {
        let state = Arc::new(AtomicU8::new(REST));
        let told = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            harness::pin(1);
            loop {
                // Relaxed: only tells it what to do next.
                match told.load(Ordering::Relaxed) {
                    REST => std::thread::park(),
                    WORK => (0..64).for_each(|_| work()),
                    _ => return,
                }
            }
        });
        Self { state, thread: Some(thread) }
    }

    fn tell(&self, state: u8) {
        // Relaxed: only tells it what to do next; what it works on is shared by itself.
        self.state.store(state, Ordering::Relaxed);
        self.thread.iter().for_each(|thread| thread.thread().unpark());
    }

    fn while_it_works(&self, body: impl FnOnce()) {
        self.tell(WORK);
        body();
        self.tell(REST);
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.tell(END);
        self.thread.take().map(JoinHandle::join);
    }
}

fn new_key(number: u64) -> [u8; 17] {
    let mut key = *b"flood:...........";
    key[6..14].copy_from_slice(&number.to_le_bytes());
    key
}
