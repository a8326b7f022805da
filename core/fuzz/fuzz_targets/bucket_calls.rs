//! Any calls with any arguments at any times, tickets made up of any bits: an answer that holds together, never a
//! panic.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use tidegate::limit::{Reservation, Ticket};
use tidegate::{Decision, ManualClock, Quota, TokenBucket};

#[derive(Arbitrary, Debug)]
enum Call {
    Take(u64, u32),
    Check(u64, u32),
    Peek(u64),
    Reserve(u64, u32, Option<Duration>),
    Cancel(u64, u8),
    CancelAnything(u64, u64, u64),
    Refund(u64, u32),
    Penalize(u64, Duration),
    Reset(u64),
    SetQuota(u64, u64, Duration, u64),
}

#[derive(Arbitrary, Debug)]
struct Case {
    count: u64,
    period: Duration,
    burst: u64,
    stripes: Option<u8>,
    start: u64,
    calls: Vec<Call>,
}

fn quota(count: u64, period: Duration, burst: u64) -> Option<Quota> {
    Quota::new(count, period).ok()?.with_burst(burst).ok()
}

fn sound(decision: Decision, n: u32) {
    assert!(decision.remaining <= decision.limit, "{decision:?}");
    assert_eq!(decision.allowed, decision.retry_after_ns == 0, "{decision:?} for {n}");
}

fuzz_target!(|case: Case| {
    let Some(first) = quota(case.count, case.period, case.burst) else { return };
    let clock = ManualClock::new(case.start);
    let bucket = match case.stripes {
        None => TokenBucket::with_clock(first, (&clock).into()),
        Some(stripes) => match TokenBucket::striped(first, stripes.into(), (&clock).into()) {
            Ok(bucket) => bucket,
            Err(_) => return,
        },
    };
    let mut tickets: Vec<Ticket> = Vec::new();
    for call in case.calls {
        match call {
            Call::Take(now, n) => _ = bucket.try_acquire_at(now, n),
            Call::Check(now, n) => sound(bucket.check_at(now, n), n),
            Call::Peek(now) => sound(bucket.peek_at(now), 1),
            Call::Reserve(now, n, max_wait) => match bucket.reserve_at(now, n, max_wait) {
                Reservation::Booked { wait_ns, ticket } => {
                    assert!(max_wait.is_none_or(|most| u128::from(wait_ns) <= most.as_nanos()));
                    tickets.push(ticket);
                }
                Reservation::Denied { retry_after_ns } => assert!(retry_after_ns > 0),
            },
            Call::Cancel(now, which) if !tickets.is_empty() => {
                bucket.cancel_at(now, tickets[usize::from(which) % tickets.len()]);
            }
            Call::Cancel(..) => {}
            Call::CancelAnything(now, word, booking) => _ = bucket.cancel_at(now, Ticket { word, booking }),
            Call::Refund(now, n) => bucket.refund_at(now, n),
            Call::Penalize(now, wait) => bucket.penalize_at(now, wait),
            Call::Reset(now) => {
                bucket.reset_at(now);
                let full = bucket.peek_at(now);
                assert_eq!(full.remaining, full.limit);
            }
            Call::SetQuota(now, count, period, burst) => {
                if let Some(next) = quota(count, period, burst) {
                    _ = bucket.set_quota_at(now, next);
                }
            }
        }
    }
});
