//! Invariant: whatever bookings are given up, in whatever order and by whatever reading, those that stand take no more
//! than burst + rate × time, by the times that they were told; and each is given up once. Of a sound clock nothing is
//! given back that is due; where the clock itself steps back it may seem not to be.

use std::time::Duration;
use tidegate::limit::{BucketConfig, Mode, Reservation, Ticket};
use tidegate::{ManualClock, Quota, TokenBucket};

const TOKEN_NS: u64 = 1_000_000;

/// What the readings come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A clock that goes on; threads come late with its readings.
    Sound,
    /// A clock that steps back.
    StepsBack,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    source: Source,
    steps: usize,
    most_burst: u64,
    /// The furthest that readings go on and back at once, in tokens.
    on: u64,
    back: u64,
}

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

fn play(plan: Plan, seed: u64) {
    let state = &mut (seed * 7_919 + 13);
    below(state, 2);
    let burst = 1 + below(state, plan.most_burst);
    let clock = ManualClock::new(0);
    let quota = Quota::new(1, Duration::from_nanos(TOKEN_NS)).and_then(|quota| quota.with_burst(burst));
    let options = BucketConfig { stripes: 1, mode: Mode::Enforce, warm_up: None };
    let bucket = TokenBucket::with_options(quota.expect("a quota"), options, (&clock).into()).expect("a bucket");
    let (mut now, mut latest) = (1_000 * TOKEN_NS, 0);
    let mut all: Vec<Booked> = Vec::new();
    for _ in 0..plan.steps {
        match below(state, 6) {
            0 | 1 => now += below(state, plan.on * TOKEN_NS),
            2 => now -= below(state, plan.back * TOKEN_NS),
            _ => {}
        }
        latest = if plan.source == Source::Sound { now.max(latest) } else { now };
        clock.set(latest);
        let n = below(state, burst + 1);
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
    let plan = Plan { source: Source::Sound, steps: 60, most_burst: 12, on: 3, back: 2 };
    (1..=15_000).for_each(|seed| play(plan, seed));
}

/// One in a thousand of these schedules minted: a booking was due, what came behind it was charged at once, and the
/// clock stepped back to where the booking could be given up.
#[test]
fn a_clock_that_steps_back_gives_nothing_back_that_was_due() {
    let plan = Plan { source: Source::StepsBack, steps: 30, most_burst: 4, on: 6, back: 6 };
    (1..=100_000).for_each(|seed| play(plan, seed));
}
