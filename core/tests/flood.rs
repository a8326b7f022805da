//! Ten million strangers against a table for a hundred thousand, while a thousand real users go on: nobody gets more
//! than the limit, and memory does not grow. A file of its own: it measures its process.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tidegate::limit::{Algorithm, LimiterConfig, Mode, RateLimiter};
use tidegate::{Clock, ManualClock, Quota};
use tidegate_model::keyed::{Limiter as Model, Quota as ModelQuota, Settings};

const MAX_KEYS: usize = 100_000;
const STRANGERS: u64 = 10_000_000;
const ATTACKERS: u64 = 2;
const USERS: u64 = 1_000;
/// Half of the users come when the flood is already there.
const EARLY_USERS: u64 = USERS / 2;

const S: u64 = 1_000_000_000;
/// 100 a minute, 20 at once; each user asks twice as often.
const QUOTA: ModelQuota = ModelQuota { count: 100, period_ns: 60 * S, burst: 20 };
/// A stranger every microsecond: the flood lasts ten seconds of the limiter's time.
const STRANGER_NS: u64 = 1_000;

#[derive(Debug, Default)]
struct Tally {
    asked: u64,
    admitted: u64,
    /// Denied although the user's own past alone would have let it pass.
    early: u64,
    /// Users to whom that happened: of those who were there before the flood, and of those who came into it.
    settled_users: u64,
    new_users: u64,
}

/// A user's share of time, and the reference that only this user's admissions are charged to.
struct User {
    name: String,
    next: u64,
    fair: Model,
    settled: bool,
    denied_early: bool,
}

impl User {
    fn new(number: u64, now: u64) -> Self {
        let fair = Model::new(Settings::new(tidegate_model::keyed::Algorithm::TokenBucket, QUOTA), 0);
        let fair = fair.expect("a quota that fits");
        let (settled, next) = (number < EARLY_USERS, now + number * 300_000);
        Self { name: format!("user:{number}"), next, fair, settled, denied_early: false }
    }

    fn ask(&mut self, limiter: &RateLimiter, now: u64, tally: &mut Tally) {
        if now < self.next {
            return;
        }
        self.next = now + 300_000_000;
        tally.asked += 1;
        let fair = self.fair.peek(now, b"", None).allowed;
        if limiter.check_at(now, self.name.as_bytes(), 1).allowed {
            assert!(fair, "{} got more than the limit at {now}", self.name);
            assert!(self.fair.try_acquire(now, b"", 1, None));
            tally.admitted += 1;
        } else if fair {
            tally.early += 1;
            let users = if self.settled { &mut tally.settled_users } else { &mut tally.new_users };
            *users += u64::from(!self.denied_early);
            self.denied_early = true;
        }
    }
}

/// Resident memory in bytes, where the system tells.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

#[test]
fn ten_million_strangers() {
    let quota = Quota::new(QUOTA.count, Duration::from_nanos(QUOTA.period_ns));
    let quota = quota.and_then(|quota| quota.with_burst(QUOTA.burst.into())).expect("a quota");
    let config =
        LimiterConfig { max_keys: MAX_KEYS, mode: Mode::Enforce, ..LimiterConfig::new(Algorithm::TokenBucket, quota) };
    let limiter = RateLimiter::with_config(config, Clock::from(ManualClock::new(0))).expect("a limiter");
    let table = limiter.memory();
    assert!(table <= 40 * MAX_KEYS, "{table} bytes");

    // Who is there before the flood has used up the burst, so its key is live until the flood is over, however late its
    // thread runs.
    let mut before = Tally::default();
    let mut settled: Vec<_> = (0..EARLY_USERS).map(|number| User::new(number, 0)).collect();
    for user in &mut settled {
        (0..QUOTA.burst).for_each(|_| user.ask(&limiter, user.next, &mut before));
    }
    assert_eq!(before.admitted, EARLY_USERS * u64::from(QUOTA.burst), "{before:?}");

    // Strangers taken so far are the clock: threads read it at different moments, as they would a real one.
    let (strangers, flooded) = (AtomicU64::new(0), AtomicBool::new(false));
    let warm = AtomicU64::new(0);
    let tally = thread::scope(|scope| {
        let users = scope.spawn(|| {
            let (mut tally, mut users) = (Tally::default(), Vec::new());
            users.append(&mut settled);
            // Acquire: after the last stranger there is one more round.
            while !flooded.load(Ordering::Acquire) {
                // Relaxed: a time only.
                let now = strangers.load(Ordering::Relaxed) * STRANGER_NS;
                if users.len() < USERS as usize && now > 2 * S {
                    users.extend((EARLY_USERS..USERS).map(|number| User::new(number, now)));
                }
                users.iter_mut().for_each(|user| user.ask(&limiter, now, &mut tally));
            }
            tally
        });
        let attackers: Vec<_> = (0..ATTACKERS)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        // Relaxed: each stranger comes once, and the time goes on.
                        let stranger = strangers.fetch_add(1, Ordering::Relaxed);
                        if stranger >= STRANGERS {
                            return;
                        }
                        let _ = limiter.try_acquire_at(stranger * STRANGER_NS, &stranger.to_le_bytes(), 1);
                        if stranger == STRANGERS / 5 {
                            // Relaxed: read after the thread was joined.
                            warm.store(resident().unwrap_or(0), Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        attackers.into_iter().for_each(|attacker| attacker.join().expect("no thread panics"));
        // Release: see the load.
        flooded.store(true, Ordering::Release);
        users.join().expect("nobody gets more than the limit")
    });

    let stats = limiter.stats();
    let (warm, after) = (warm.into_inner(), resident().unwrap_or(0));
    println!("flood: {STRANGERS} strangers and {USERS} users against max_keys {MAX_KEYS}");
    println!("users: {} asked, {} admitted, none above its limit", tally.asked, tally.admitted);
    println!(
        "users: {} calls denied early, of {} users who were there before the flood and {} who came into it",
        tally.early, tally.settled_users, tally.new_users
    );
    println!(
        "table: {} evictions, {} calls shared, {} live",
        stats.evictions,
        stats.overflowed,
        limiter.len_at(10 * S)
    );
    println!("memory: table {table} bytes; resident {warm} after a fifth of the flood, {after} at its end");
    assert_eq!(limiter.memory(), table);
    // A live key keeps its cell. One in two hundred runs a stranger shares line and tag with a user.
    assert!(tally.settled_users <= 2, "{tally:?}");
    assert!(tally.admitted > USERS && tally.asked > tally.admitted, "{tally:?}");
    assert!(stats.overflowed > STRANGERS / 10, "the flood was one: {stats:?}");
    assert!(after <= warm + 1_000_000, "memory grew from {warm} to {after}");
}
