//! Invariant: whatever bookings are given up, in whatever order and by whatever reading of a sound clock, those that
//! stand take no more than burst + rate × time, by the times that they were told; and each is given up once.

use std::time::Duration;
use tidegate::limit::{BucketOptions, Mode, Reservation, Ticket};
use tidegate::{ManualClock, Quota, TokenBucket};

const TOKEN_NS: u64 = 1_000_000;
const SEEDS: u64 = 15_000;

struct Booked {
    due: u64,
    n: u64,
    ticket: Option<Ticket>,
    stands: bool,
}

/// Xorshift (Marsaglia, 2003).
fn below(state: &mut u64, n: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (state.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) % n
}

fn play(seed: u64) {
    let state = &mut (seed * 7_919 + 13);
    below(state, 2);
    let burst = 1 + below(state, 12);
    let clock = ManualClock::new(0);
    let quota = Quota::new(1, Duration::from_nanos(TOKEN_NS)).and_then(|quota| quota.with_burst(burst));
    let options = BucketOptions { stripes: 1, mode: Mode::Enforce, warm_up: None };
    let bucket = TokenBucket::with_options(quota.expect("a quota"), options, (&clock).into()).expect("a bucket");
    let (mut now, mut latest) = (1_000 * TOKEN_NS, 0);
    let mut all: Vec<Booked> = Vec::new();
    for _ in 0..60 {
        match below(state, 6) {
            0 | 1 => now += below(state, 3 * TOKEN_NS),
            2 => now -= below(state, 2 * TOKEN_NS),
            _ => {}
        }
        latest = now.max(latest);
        clock.set(latest);
        let n = 1 + below(state, burst);
        match below(state, 12) {
            0..5 => {
                if let Reservation::Booked { wait_ns, ticket } = bucket.reserve_at(now, n as u32, None) {
                    all.push(Booked { due: now + wait_ns, n, ticket: Some(ticket), stands: true });
                }
            }
            5..7 if bucket.try_acquire_at(now, n as u32) => {
                all.push(Booked { due: now, n, ticket: None, stands: true });
            }
            _ if !all.is_empty() => {
                let at = below(state, all.len() as u64) as usize;
                if let Some(ticket) = all[at].ticket
                    && bucket.cancel_at(now, ticket)
                {
                    assert!(all[at].stands, "given up twice: seed {seed}");
                    assert!(all[at].due > latest, "given back what is due: seed {seed}");
                    all[at].stands = false;
                }
            }
            _ => {}
        }
    }
    let mut standing: Vec<_> = all.iter().filter(|booked| booked.stands).map(|booked| (booked.due, booked.n)).collect();
    standing.sort_unstable();
    for from in 0..standing.len() {
        let mut sum = 0;
        for &(due, n) in &standing[from..] {
            sum += n;
            let most = burst * TOKEN_NS + (due - standing[from].0);
            assert!(sum * TOKEN_NS <= most, "{sum} of {burst} in {} ns: seed {seed}", due - standing[from].0);
        }
    }
}

#[test]
fn what_stands_keeps_to_burst_and_rate() {
    (1..=SEEDS).for_each(play);
}
