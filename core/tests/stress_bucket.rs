//! Many threads on one bucket, at injected times: what is admitted is exactly what the quota allows, and never more
//! while everything else that can be done to a bucket races with it.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tidegate::limit::{Reservation, Ticket};
use tidegate::{ManualClock, Quota, TokenBucket};

const THREADS: u64 = 8;
const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

fn quota(rate: &str, burst: u64) -> Quota {
    rate.parse::<Quota>().and_then(|quota| quota.with_burst(burst)).expect("a sound quota")
}

fn on_all_threads<T: Send>(work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(THREADS as usize);
    let (work, start) = (&work, &start);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    start.wait();
                    work(thread)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    })
}

#[test]
fn racing_threads_admit_exactly_the_quota() {
    // Rates whose arithmetic is exact, and rates whose arithmetic is rounded.
    for (rate, burst) in [("400/s", 800), ("3/s", 50), ("999/s", 300), ("12345/s", 1_000), ("100000000/s", 5_000)] {
        let bucket = TokenBucket::with_clock(quota(rate, burst), ManualClock::new(0).into());
        let (mut now, mut expected) = (0, burst);
        for _ in 0..40 {
            let admitted: u64 =
                on_all_threads(|_| (0..2 * burst / THREADS).filter(|_| bucket.try_acquire_at(now, 1)).count() as u64)
                    .into_iter()
                    .sum();
            assert_eq!(admitted, expected, "{rate} at {now}");
            // Empty now: half a burst comes back by then, to the nanosecond.
            expected = burst / 2;
            let wait = bucket.check_at(now, u32::try_from(expected).expect("small")).retry_after_ns;
            assert!(wait > 0, "the bucket is empty");
            now += wait;
        }
    }
}

#[test]
fn costs_race_without_a_token_lost_or_minted() {
    let bucket = TokenBucket::with_clock(quota("1/s", 100_000), ManualClock::new(0).into());
    let taken: u64 = on_all_threads(|thread| {
        let mut taken = 0;
        let cost = u32::try_from(thread + 1).expect("small");
        while bucket.try_acquire_at(7, cost) {
            taken += u64::from(cost);
        }
        taken
    })
    .into_iter()
    .sum();
    let left = u64::from(bucket.peek_at(7).remaining);
    assert_eq!(taken + left, 100_000);
    assert_eq!(left, 0, "the thread with cost 1 goes on to the last token");
    let stats = bucket.stats();
    assert_eq!(stats.denied, THREADS);
}

/// Tokens used and when: what a window is summed over.
type Use = (u64, u64);

/// The most that a window holds above `rate` (tokens a second) times its length, rounded up.
fn largest_excess(mut uses: Vec<Use>, rate: u64) -> i128 {
    uses.sort_unstable();
    // In billionths of a token: sum up to here minus rate × time, against the least such value before.
    let (mut sum, mut least, mut largest) = (0_i128, i128::MAX, i128::MIN);
    for (at, tokens) in uses {
        let time = i128::from(at) * i128::from(rate);
        least = least.min(sum - time);
        sum += i128::from(tokens) * i128::from(S);
        largest = largest.max(sum - time - least);
    }
    -(-largest).div_euclid(S.into())
}

/// One thread's share of a round: every operation in random order. What was used, and when.
fn meddle(bucket: &TokenBucket, now: &AtomicU64, seed: u64, quotas: &[Quota]) -> Vec<Use> {
    // Bookings stay open for a while, so that others are booked behind them before they are cancelled.
    let (mut uses, mut open): (Vec<Use>, Vec<(Use, Ticket)>) = (Vec::new(), Vec::new());
    let calm = quotas.len() == 1;
    let mut pick = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for _ in 0..100 {
        // xorshift64 (Marsaglia 2003): any mixture will do.
        pick ^= pick << 13;
        pick ^= pick >> 7;
        pick ^= pick << 17;
        // Relaxed: a time only. Threads hold times of different age, as readers of a real clock do.
        let at = now.fetch_add(pick >> 32 & 0xf_ffff, Ordering::Relaxed);
        let n = (pick % 7 + 1) as u32;
        match pick >> 8 & 63 {
            0 if !calm => bucket.set_quota_at(at, quotas[(pick >> 20) as usize % quotas.len()]).expect("not striped"),
            1 if !calm => bucket.penalize_at(at, Duration::from_millis(pick % 8)),
            2..=20 => {
                let most = Some(Duration::from_millis(200));
                if let Reservation::Booked { wait_ns, ticket } = bucket.reserve_at(at, n, most) {
                    open.push(((at + wait_ns, u64::from(n)), ticket));
                }
            }
            21..=40 if !open.is_empty() => {
                let (used, ticket) = open.swap_remove((pick >> 20) as usize % open.len());
                let given_back = bucket.cancel_at(at, ticket);
                assert!(!given_back || at < used.0, "its time had come");
                if !given_back {
                    uses.push(used);
                }
            }
            _ if bucket.try_acquire_at(at, n) => uses.push((at, u64::from(n))),
            _ => {}
        }
    }
    uses.extend(open.into_iter().map(|(used, _)| used));
    uses
}

#[test]
fn everything_at_once_never_exceeds_burst_and_rate() {
    let quotas = [quota("400/s", 80), quota("200/s", 60), quota("3/s", 80), quota("399/s", 9)];
    let calm_quota = [quota("400/s", 8)];
    let mut used = 0;
    for round in 0..300 {
        // In every other round nothing voids a ticket, and the burst is small: what cancels give back too much adds up.
        let calm = round % 2 == 1;
        let (quotas, burst) = if calm { (&calm_quota[..], 8) } else { (&quotas[..], 80) };
        let bucket = TokenBucket::with_clock(quotas[0], ManualClock::new(0).into());
        let now = AtomicU64::new(0);
        let uses = on_all_threads(|thread| meddle(&bucket, &now, round * THREADS + thread, quotas));
        let uses: Vec<Use> = uses.into_iter().flatten().collect();
        used += uses.len();
        let excess = largest_excess(uses, 400);
        assert!(excess <= burst, "a window holds {excess} tokens above rate x time, the largest burst is {burst}");
    }
    assert!(used > 5_000, "there was something to count: {used}");
}

#[test]
fn stripes_never_admit_more_than_the_whole() {
    let clock = ManualClock::new(0);
    let bucket = TokenBucket::striped(quota("400/s", 83), 4, (&clock).into()).expect("4 stripes of 20 or 21");
    let (mut now, mut total) = (0, 0);
    for step in 0..200_u64 {
        let uses = on_all_threads(|_| (0..40).filter(|_| bucket.try_acquire_at(now, 1)).count() as u64);
        let admitted: u64 = uses.into_iter().sum();
        assert!(step > 0 || admitted == 83, "each stripe's share can be reached by every thread: {admitted}");
        total += admitted;
        let allowed = 83 + 400 * now / S;
        assert!(total <= allowed, "{total} > {allowed} at {now}");
        // Each stripe may hold less than one token back.
        assert!(total + 4 >= allowed, "{total} is far below {allowed} at {now}");
        now += 7 * MS + step;
    }
}

#[test]
fn the_excess_of_a_window_is_seen() {
    assert_eq!(largest_excess(vec![(0, 5), (S, 5)], 5), 5);
    assert_eq!(largest_excess(vec![(0, 5), (S, 6)], 5), 6);
    assert_eq!(largest_excess(vec![(0, 1), (10 * S, 5), (10 * S + 1, 5)], 5), 10);
}
