//! A server with workers and a line before them, behind a concurrency limiter: events in order, no real clock.

use crate::foreign::{Algorithm, Ended};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::task::Waker;
use std::time::Duration;
use tidegate::concurrency::{AdaptiveConfig, ConcurrencyListener, ConcurrencyPermit, Outcome};
use tidegate::limit::Mode;
use tidegate::{ConcurrencyConfig, ConcurrencyLimiter, ManualClock};

/// A function of time in seconds.
pub(crate) type Course<T> = Box<dyn Fn(f64) -> T>;

/// What stands before the server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Guard {
    /// Nothing.
    Open,
    /// So many at once.
    Fixed(u32),
    /// As many as follows from what calls report.
    Adaptive(AdaptiveConfig),
    /// The same, where the latency that counts begins when a call has its permit and not when it asks.
    FromGrant(AdaptiveConfig),
    /// Another project's limit.
    Foreign(fn() -> Box<dyn Algorithm>),
}

/// A server and who calls it.
pub(crate) struct Scenario {
    /// How long, in seconds.
    pub(crate) seconds: f64,
    /// Calls that arrive in a second.
    pub(crate) rate: Course<f64>,
    /// Workers.
    pub(crate) workers: Course<usize>,
    /// Time that a call takes without a worker, in seconds.
    pub(crate) extra: Course<f64>,
    /// Deviation of a service time, in means.
    pub(crate) deviation: f64,
    /// A share of calls that takes so many times as long.
    pub(crate) tail: Option<(f64, f64)>,
    /// How long a call waits for its permit, in seconds.
    pub(crate) max_wait: f64,
    /// From when to when latencies are looked at.
    pub(crate) looked_at: (f64, f64),
}

/// Mean service time.
const SERVICE: f64 = 0.02;
/// A call that takes longer is no use to anybody.
const DEADLINE: f64 = 0.5;

impl Scenario {
    /// `rate` for ever, `workers` workers.
    pub(crate) fn new(seconds: f64, workers: usize, rate: impl Fn(f64) -> f64 + 'static) -> Self {
        Self {
            seconds,
            rate: Box::new(rate),
            workers: Box::new(move |_| workers),
            extra: Box::new(|_| 0.0),
            deviation: 0.5,
            tail: None,
            max_wait: 0.0,
            looked_at: (0.0, seconds),
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Calls that were done within the deadline, by the second in which they ended.
    pub(crate) good: Vec<u32>,
    /// Latencies of calls that began while they were looked at, sorted, in seconds.
    pub(crate) latencies: Vec<f64>,
    /// Of those, how many were in time.
    pub(crate) good_looked_at: u64,
    /// Calls refused, by second.
    pub(crate) refused: Vec<u32>,
    /// At the end.
    pub(crate) limit: u32,
    /// By second: limit, calls in flight, median latency of the calls that ended.
    pub(crate) course: Vec<(u32, u32, f64)>,
}

impl Report {
    /// Calls in time of a second between these.
    pub(crate) fn goodput(&self, from: usize, to: usize) -> f64 {
        f64::from(self.good.iter().take(to).skip(from).sum::<u32>()) / (to - from) as f64
    }

    /// Seconds below which the share of latencies lies.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let at = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(at).or(self.latencies.last()).copied().unwrap_or(f64::NAN)
    }
}

#[derive(Clone, Copy)]
struct Call {
    asked: f64,
    granted: f64,
    permit: ConcurrencyPermit,
    /// In flight when it began, with itself.
    at_start: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A worker is done with a call.
    Served,
    /// A call has its answer.
    Answered,
}

/// A call that waits for its permit.
struct Waiting {
    asked: f64,
    listener: ConcurrencyListener,
}

struct World<'a> {
    scenario: &'a Scenario,
    random: fastrand::Rng,
    /// By time in nanoseconds, then by number.
    events: BinaryHeap<Reverse<(u64, u64, Step)>>,
    calls: BTreeMap<u64, Call>,
    line: VecDeque<u64>,
    /// Before the limiter, longest first.
    waiting: VecDeque<Waiting>,
    busy: usize,
    number: u64,
}

fn ns(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

impl World<'_> {
    fn exponential(&mut self, rate: f64) -> f64 {
        -(1.0 - self.random.f64()).ln() / rate
    }

    fn service(&mut self) -> f64 {
        let variance = (1.0 + self.scenario.deviation.powi(2)).ln();
        let normal = (-2.0 * (1.0 - self.random.f64()).ln()).sqrt() * (std::f64::consts::TAU * self.random.f64()).cos();
        let time = SERVICE * (variance.sqrt() * normal - variance / 2.0).exp();
        match self.scenario.tail {
            Some((share, times)) if self.random.f64() < share => time * times,
            _ => time,
        }
    }

    fn begin(&mut self, now: f64, call: u64) {
        self.busy += 1;
        let done = now + self.service();
        self.events.push(Reverse((ns(done), call, Step::Served)));
    }

    fn begin_waiting(&mut self, now: f64) {
        while self.busy < (self.scenario.workers)(now) {
            let Some(call) = self.line.pop_front() else { return };
            self.begin(now, call);
        }
    }

    /// Lets in whom the limiter has let in; how many wait no longer because their time is over.
    fn let_in(&mut self, now: f64) -> u32 {
        let mut timed_out = 0;
        while let Some(first) = self.waiting.front_mut() {
            let asked = first.asked;
            if let Some(permit) = first.listener.take() {
                self.waiting.pop_front();
                self.arrive(now, asked, permit);
            } else if now >= asked + self.scenario.max_wait {
                self.waiting.pop_front().into_iter().for_each(|waiting| waiting.listener.time_out());
                timed_out += 1;
            } else {
                break;
            }
        }
        timed_out
    }

    fn arrive(&mut self, now: f64, asked: f64, permit: ConcurrencyPermit) {
        self.number += 1;
        let at_start = self.calls.len() as u32 + 1;
        self.calls.insert(self.number, Call { asked, granted: now, permit, at_start });
        self.line.push_back(self.number);
        self.begin_waiting(now);
    }
}

/// 0: nothing stands before the server.
fn limit_in_force(limiter: Option<&ConcurrencyLimiter>, foreign: Option<&dyn Algorithm>) -> u32 {
    limiter.map_or_else(|| foreign.map_or(0, Algorithm::limit), ConcurrencyLimiter::limit)
}

/// How much of the workers' time was used since the last look: the processor of a server that only computes.
#[derive(Debug, Default)]
struct Cpu {
    used: f64,
    last: f64,
    looked: f64,
}

impl Cpu {
    fn goes_on(&mut self, now: f64, busy: f64, foreign: &mut dyn Algorithm) {
        self.used += busy * (now - self.last);
        self.last = now;
        let each = foreign.looks_each();
        while now >= self.looked + each {
            self.looked += each;
            foreign.looks((std::mem::take(&mut self.used) / each).min(1.0));
        }
    }
}

/// Plays a scenario with a seed.
pub(crate) fn run(guard: Guard, scenario: &Scenario, seed: u64) -> Report {
    let clock = ManualClock::new(0);
    let config = match guard {
        Guard::Open | Guard::Foreign(_) => None,
        Guard::Fixed(limit) => Some(ConcurrencyConfig::new(limit)),
        Guard::Adaptive(config) | Guard::FromGrant(config) => Some(ConcurrencyConfig::adaptive(config)),
    };
    let limiter = config.map(|config| {
        let config = ConcurrencyConfig { mode: Mode::Enforce, ..config };
        ConcurrencyLimiter::with_config(config, (&clock).into()).expect("sound settings")
    });
    let mut foreign = if let Guard::Foreign(make) = guard { Some(make()) } else { None };
    let mut cpu = Cpu::default();
    let mut world = World {
        scenario,
        random: fastrand::Rng::with_seed(seed),
        events: BinaryHeap::new(),
        calls: BTreeMap::new(),
        line: VecDeque::new(),
        waiting: VecDeque::new(),
        busy: 0,
        number: 0,
    };
    let seconds = scenario.seconds as usize + 1;
    let mut report = Report { good: vec![0; seconds], refused: vec![0; seconds], ..Report::default() };
    let (from, to) = scenario.looked_at;
    let mut ended = Vec::new();
    let mut arrival = world.exponential((scenario.rate)(0.0));
    loop {
        let event = world.events.peek().map(|Reverse(event)| *event).filter(|event| event.0 <= ns(arrival));
        let now = event.map_or(arrival, |event| event.0 as f64 / 1e9);
        if now > scenario.seconds {
            break;
        }
        while report.course.len() < now as usize {
            ended.sort_by(f64::total_cmp);
            let median = ended.get(ended.len() / 2).copied().unwrap_or(0.0);
            let limit = limit_in_force(limiter.as_ref(), foreign.as_deref());
            report.course.push((limit, world.calls.len() as u32, median));
            ended.clear();
        }
        clock.set(event.map_or(ns(arrival), |event| event.0));
        if let Some(foreign) = &mut foreign {
            let workers = (scenario.workers)(now).max(1) as f64;
            cpu.goes_on(now, (world.busy as f64 / workers).min(1.0), foreign.as_mut());
        }
        report.refused[now as usize] += world.let_in(now);
        let Some((_, number, step)) = event else {
            let ask = |limiter: &ConcurrencyLimiter| match scenario.max_wait {
                0.0 => limiter.try_acquire(),
                _ => limiter.at_once(),
            };
            let admits = foreign.as_mut().is_none_or(|foreign| foreign.admits(now, world.calls.len() as u32));
            let free = admits.then(ConcurrencyPermit::default);
            match limiter.as_ref().map_or(free, ask) {
                Some(permit) => world.arrive(now, now, permit),
                None if scenario.max_wait > 0.0 => {
                    let listener = limiter.as_ref().map(|limiter| limiter.listen(Waker::noop()));
                    world.waiting.extend(listener.map(|listener| Waiting { asked: now, listener }));
                }
                None => report.refused[now as usize] += 1,
            }
            arrival = now + world.exponential((scenario.rate)(now));
            continue;
        };
        world.events.pop();
        if step == Step::Served {
            world.busy -= 1;
            world.begin_waiting(now);
            let extra = (scenario.extra)(now);
            if extra > 0.0 {
                world.events.push(Reverse((ns(now + extra), number, Step::Answered)));
                continue;
            }
        }
        let Some(call) = world.calls.remove(&number) else { continue };
        let latency = now - call.asked;
        let is_good = latency <= DEADLINE;
        if let Some(limiter) = &limiter {
            let outcome = if is_good { Outcome::Success } else { Outcome::Dropped };
            match guard {
                Guard::FromGrant(_) => {
                    limiter.report_latency(call.permit, outcome, Duration::from_secs_f64(now - call.granted))
                }
                _ => limiter.report(call.permit, outcome),
            };
        }
        if let Some(foreign) = &mut foreign {
            let left = world.calls.len() as u32;
            foreign.ended(&Ended { now, latency, at_start: call.at_start, left, dropped: !is_good });
        }
        report.refused[now as usize] += world.let_in(now);
        report.good[now as usize] += u32::from(is_good);
        ended.push(latency);
        if (from..to).contains(&call.asked) {
            report.latencies.push(latency);
            report.good_looked_at += u64::from(is_good);
        }
    }
    report.latencies.sort_by(f64::total_cmp);
    report.limit = limit_in_force(limiter.as_ref(), foreign.as_deref());
    report
}
