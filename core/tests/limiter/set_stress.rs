//! Many threads on limits combined: never more than any member allows, all of it once demand outlasts the races, and
//! nothing kept of what was denied.

use super::stress::{CALLS, THREADS, on_all_threads, shuffle};
use super::{MS, S};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tidegate::limit::{Algorithm, LimitSet, LimiterConfig, Member, Mode, RateLimiter};
use tidegate::{Clock, ManualClock, Quota, TokenBucket};

fn quota(count: u64, burst: u64) -> Quota {
    Quota::new(count, Duration::from_secs(2)).and_then(|quota| quota.with_burst(burst)).expect("a sound quota")
}

fn keyed(algorithm: Algorithm, limit: u64, clock: &ManualClock) -> Arc<RateLimiter> {
    let config =
        LimiterConfig { max_keys: 1_000, mode: Mode::Enforce, ..LimiterConfig::new(algorithm, quota(limit, limit)) };
    Arc::new(RateLimiter::with_config(config, Clock::from(clock)).expect("a limiter"))
}

/// All calls by one user from one address: the widest limit is the scarcest, so that most calls charge the others first
/// and have to take that back.
#[test]
fn all_or_nothing_under_races() {
    for algorithm in Algorithm::ALL {
        let clock = ManualClock::new(0);
        let (user, address) = (keyed(algorithm, 400, &clock), keyed(Algorithm::FixedWindow, 350, &clock));
        let everyone = Arc::new(TokenBucket::with_clock(quota(300, 300), Clock::from(&clock)));
        let members = [
            ("user", Member::Keyed(user.clone())),
            ("address", Member::Keyed(address.clone())),
            ("everyone", Member::Bucket(everyone.clone())),
        ];
        let set = LimitSet::new(members.map(|(name, member)| (name.to_owned(), member))).expect("a set");
        let (mut now, rounds) = (0, 10);
        for round in 0..rounds {
            let left = || {
                let keyed = [&user, &address].map(|limiter| u64::from(limiter.peek_at(now, b"one", None).remaining));
                [keyed[0], keyed[1], u64::from(everyone.peek_at(now).remaining)]
            };
            let before = left();
            let take = |n: u32| set.check_at(now, &[b"one", b"one"], n).expect("a key each").decision.allowed;
            let taken: u64 = on_all_threads(|thread| {
                let mut pick = (round * THREADS + thread + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                let costs = (0..CALLS / 4 / rounds).map(|_| (shuffle(&mut pick) % 3 + 1) as u32);
                costs.map(|n| u64::from(n) * u64::from(take(n))).sum::<u64>()
            })
            .into_iter()
            .sum();
            let most = before.into_iter().min().expect("three");
            assert!(taken <= most, "{algorithm} round {round}: {taken} of {before:?}");
            // Demand outlasts the races.
            let rest = (0..=most).take_while(|_| take(1)).count() as u64;
            assert_eq!(taken + rest, most, "{algorithm} round {round}: {taken} and {rest} of {before:?}");
            // Nothing was lost on the way: each has what it had, less what was admitted.
            assert_eq!(left(), before.map(|had| had - most), "{algorithm} round {round}");
            now += S + round * 70 * MS;
        }
    }
}

/// Many users and addresses, all members scarce: no key of any member gets more than its limit.
#[test]
fn no_member_admits_more_than_alone() {
    const USERS: u64 = 24;
    const ADDRESSES: u64 = 5;
    for algorithm in Algorithm::ALL {
        let clock = ManualClock::new(0);
        let (user, address) = (keyed(algorithm, 20, &clock), keyed(Algorithm::SlidingLog, 60, &clock));
        let everyone = Arc::new(TokenBucket::with_clock(quota(200, 200), Clock::from(&clock)));
        let members = [
            ("everyone", Member::Bucket(everyone.clone())),
            ("address", Member::Keyed(address)),
            ("user", Member::Keyed(user)),
        ];
        let set = LimitSet::new(members.map(|(name, member)| (name.to_owned(), member))).expect("a set");
        let uses = on_all_threads(|thread| {
            let mut pick = (thread + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut uses = Vec::new();
            for _ in 0..CALLS / 20 {
                let random = shuffle(&mut pick);
                let (user, address) = (random >> 8 & 0xff, random >> 16 & 0xff);
                let (user, address) = (user % USERS, address % ADDRESSES);
                let keys = [&address.to_le_bytes()[..], &user.to_le_bytes()[..]];
                if set.check_at(5, &keys, 1).expect("a key each").decision.allowed {
                    uses.push((user, address));
                }
            }
            uses
        })
        .concat();
        for one in 0..USERS {
            let admitted = uses.iter().filter(|(user, _)| *user == one).count();
            assert!(admitted <= 20, "{algorithm}: {admitted} of user {one}");
        }
        for one in 0..ADDRESSES {
            let admitted = uses.iter().filter(|(_, address)| *address == one).count();
            assert!(admitted <= 60, "{algorithm}: {admitted} of address {one}");
        }
        // 24 x 20 and 5 x 60 leave room for everybody's 200.
        assert_eq!(uses.len(), 200, "{algorithm}");
        assert_eq!(everyone.peek_at(5).remaining, 0);
    }
}

/// Leaky buckets, of which the widest is the scarcest: calls that lose on it have booked the others, and take that back
/// while others book behind it. No two that were admitted were told the same place. The last has four places a key, for
/// which calls of three, three, one and one compete: who loses leaves room for another, who books after the loser
/// stepped out.
#[test]
fn no_place_in_a_queue_is_told_twice() {
    const KEYS: u64 = 20_000;
    const COSTS: [u32; 4] = [3, 3, 1, 1];
    let clock = ManualClock::new(0);
    let leaky = |interval_ms: u64, queue: u64| {
        let quota = Quota::new(1, Duration::from_millis(interval_ms)).and_then(|quota| quota.with_burst(queue));
        let config = LimiterConfig {
            max_keys: KEYS as usize * 2,
            mode: Mode::Enforce,
            ..LimiterConfig::new(Algorithm::LeakyBucket, quota.expect("a sound quota"))
        };
        Member::Keyed(Arc::new(RateLimiter::with_config(config, Clock::from(&clock)).expect("a limiter")))
    };
    // Time stands still: there is a place for everybody but in the last, whose places are the longest, so that it is
    // charged last.
    let queues = [(1, 100_000), (1, 100_001), (1, 100_002), (1, 100_003), (100_000, 4)];
    let set =
        LimitSet::new(queues.map(|(interval, queue)| (queue.to_string(), leaky(interval, queue)))).expect("a set");
    let nothing = set.peek_at(0, &[&b""[..]; 5], 0).expect("a key each").decision;
    let next = AtomicU64::new(0);
    let told = on_all_threads(|_| {
        let mut told = Vec::new();
        loop {
            // Relaxed: a number only. Who gets the next one competes.
            let call = next.fetch_add(1, Ordering::Relaxed);
            let (key, n) = (call / 4, COSTS[call as usize % 4]);
            if key >= KEYS {
                return told;
            }
            let (key, mut each) = (key.to_le_bytes(), [nothing; 5]);
            let keys = [&b"all"[..], b"all", b"all", b"all", &key];
            if set.check_each_at(0, &keys, n, &mut each).expect("a key each").decision.allowed {
                told.push((each.map(|decision| decision.delay_ns), u64::from(n)));
            }
        }
    })
    .concat();
    for member in 0..4 {
        let mut places: Vec<_> = told.iter().map(|&(delays, n)| (delays[member], n)).collect();
        places.sort_unstable();
        for pair in places.windows(2) {
            assert!(pair[1].0 + 1_000 >= pair[0].0 + pair[0].1 * MS, "{pair:?}");
        }
    }
    assert!(told.len() as u64 >= KEYS, "{}", told.len());
}
