//! Servers with twice and five times what they can do, in simulated time: what is served in time, and of whom.
//!
//! Calls come by chance (Poisson), their work takes half to one and a half of its mean, and who is not shed waits in
//! a line that has an end. In time is within half a second.

use std::collections::VecDeque;
use tidegate::limit::Mode;
use tidegate::shed::{Priority, ShedderConfig, Signal, SignalKind};
use tidegate::{Clock, LoadShedder, ManualClock};

const S: f64 = 1e9;
const IN_TIME: u64 = 500_000_000;
/// For each worker so many may wait at most.
const LINE: usize = 10;
/// It has so many seconds to find its threshold, and is then watched for a minute.
const WARM: f64 = 5.0;
const END: f64 = 65.0;

struct Server {
    workers: usize,
    service: f64,
    load: f64,
}

#[derive(Debug)]
struct Outcome {
    /// Of what is possible.
    goodput: f64,
    /// Of each priority, the part that was served in time.
    served: [f64; 4],
}

/// The next priority: 5, 20, 40 and 35 %.
fn priority(draw: f64) -> Priority {
    let below = [0.05, 0.25, 0.65, 1.0].iter().position(|share| draw < *share).expect("below 1");
    Priority::ALL[below]
}

fn run(server: &Server, seed: u64) -> Outcome {
    let config = ShedderConfig { mode: Mode::Enforce, ..ShedderConfig::new(vec![Signal::new(SignalKind::QueueDelay)]) };
    let shedder = LoadShedder::with_clock(config, Clock::from(&ManualClock::new(0))).expect("a shedder");
    let mut chance = fastrand::Rng::with_seed(seed);
    let capacity = server.workers as f64 / server.service;
    let (mut now, mut free) = (0.0, vec![0_u64; server.workers]);
    // Whose work has not begun: when it does, and how long he will have waited.
    let mut line: VecDeque<(u64, u64)> = VecDeque::new();
    let (mut asked, mut served) = ([0_u32; 4], [0_u32; 4]);
    loop {
        now -= (1.0 - chance.f64()).ln() / (capacity * server.load) * S;
        if now > END * S {
            break;
        }
        let at = now as u64;
        while let Some(&(begun, waited)) = line.front().filter(|(begun, _)| *begun <= at) {
            line.pop_front();
            shedder.tell_at(begun, "queue_delay", waited as f64 / S).expect("told");
        }
        let who = priority(chance.f64());
        let is_counted = now > WARM * S;
        asked[who as usize] += u32::from(is_counted);
        if !shedder.admit_at(at, who, chance.u8(..128), chance.f64()) {
            continue;
        }
        if line.len() >= LINE * server.workers {
            continue;
        }
        let worker = free.iter_mut().min().expect("a worker");
        let begun = (*worker).max(at);
        *worker = begun + (server.service * (0.5 + chance.f64()) * S) as u64;
        let is_in_time = *worker - at < IN_TIME;
        served[who as usize] += u32::from(is_counted && is_in_time);
        line.push_back((begun, begun - at));
    }
    let possible = capacity * server.load.min(1.0) * (END - WARM);
    let part = |at: usize| f64::from(served[at]) / f64::from(asked[at]);
    Outcome { goodput: f64::from(served.iter().sum::<u32>()) / possible, served: std::array::from_fn(part) }
}

/// Mean and worst goodput of 20 seeds, and the worst of each priority.
fn seeds(server: &Server) -> (f64, f64, [f64; 4]) {
    let all: Vec<_> = (1..=20).map(|seed| run(server, seed)).collect();
    let least = |of: &dyn Fn(&Outcome) -> f64| all.iter().map(of).fold(f64::INFINITY, f64::min);
    let mean = all.iter().map(|it| it.goodput).sum::<f64>() / 20.0;
    let worst = std::array::from_fn(|at| least(&|it| it.served[at]));
    let found = (mean, least(&|it| it.goodput), worst);
    println!("{} of {} s at {}: {found:.3?}", server.workers, server.service, server.load);
    found
}

#[test]
fn twice_the_load_costs_little_goodput_and_nothing_that_is_important() {
    let (mean, worst, served) = seeds(&Server { workers: 8, service: 0.02, load: 2.0 });
    assert!(mean >= 0.92 && worst >= 0.90, "{mean:.3} {worst:.3}");
    // Critical, high: served. Of normal ones most, as there is room for them; the rest pays.
    assert!(served[0] >= 0.98 && served[1] >= 0.98 && served[2] >= 0.45, "{served:.3?}");
}

#[test]
fn five_times_the_load_leaves_the_critical_ones() {
    // There is room for a fifth: critical ones are 5 %, high ones 20 %.
    let (mean, worst, served) = seeds(&Server { workers: 8, service: 0.02, load: 5.0 });
    assert!(mean >= 0.92 && worst >= 0.90, "{mean:.3} {worst:.3}");
    assert!(served[0] >= 0.95 && served[1] >= 0.55, "{served:.3?}");
}

#[test]
fn many_slow_workers() {
    // One waits for a fifth of a service time at full pressure: chance alone sheds some.
    let (mean, worst, served) = seeds(&Server { workers: 50, service: 0.1, load: 2.0 });
    assert!(mean >= 0.86 && worst >= 0.83, "{mean:.3} {worst:.3}");
    assert!(served[0] >= 0.95 && served[1] >= 0.95, "{served:.3?}");
}

#[test]
fn half_the_load_is_shed_by_nobody() {
    let (mean, worst, served) = seeds(&Server { workers: 8, service: 0.02, load: 0.5 });
    assert!(mean >= 0.99 && worst >= 0.97, "{mean:.3} {worst:.3}");
    assert!(served.iter().all(|part| *part >= 0.999), "{served:.3?}");
}
