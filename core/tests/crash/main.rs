//! Processes killed at any instruction: the others go on, and what the dead one held comes back.
//!
//! Some hundred kills; `TIDEGATE_CRASH_KILLS=5000` for more, `TIDEGATE_CRASH_SEED` to repeat when and whom.
#![cfg(target_os = "linux")]

mod objects;
#[path = "../arena/support.rs"]
#[allow(dead_code, reason = "shared with the arena's tests")]
mod support;
mod worker;

use objects::{
    BREAKERS, BUDGET_RATE, BUDGET_SPAN, BURST, CALLS_A_RETRY, COOLDOWN, KEY_BURST, KEY_RATE, KEYS, LOG_EACH, LOG_KEYS,
    LOG_LIMIT, LOG_PERIOD, OPEN, Objects, PATTERNS, PERMITS, RATE, nth, pulse, quota,
};
use std::process::Child;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use support::Place;
use tidegate::arena::HostConfig;
use tidegate::breaker::State;
use tidegate::shed::Priority;
use tidegate::{Arena, BreakerConfig, TokenBucket};

const WORKERS: usize = 4;
/// Only a failing test waits for it.
const GENEROUS: Duration = Duration::from_secs(60);
/// A death is noticed at the first denial so long after it.
const NOTICED: Duration = Duration::from_millis(10);

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

struct Scene {
    options: HostConfig,
    random: fastrand::Rng,
    objects: Objects,
    pulses: [TokenBucket; WORKERS],
    workers: Vec<Option<Child>>,
    /// Of the arena's clock, before the first bucket.
    born_ns: u64,
    /// The counts at the last look: none ever goes back.
    admitted: [u64; 3],
    killed: u64,
}

impl Scene {
    fn new(options: HostConfig, seed: u64) -> Self {
        let arena = Arena::open(&options).expect("an arena");
        let born_ns = arena.clock().now();
        let objects = Objects::open(&options);
        objects.registry.get(OPEN).force_open();
        let pulses = std::array::from_fn(|index| pulse(&arena, index));
        let workers = (0..WORKERS).map(|_| None).collect();
        Self {
            options,
            random: fastrand::Rng::with_seed(seed),
            objects,
            pulses,
            workers,
            born_ns,
            admitted: [0; 3],
            killed: 0,
        }
    }

    fn start(&mut self, index: usize) {
        self.workers[index] = Some(worker::start(&self.options, index));
    }

    fn kill(&mut self, index: usize) {
        let mut worker = self.workers[index].take().expect("a worker");
        assert!(worker.try_wait().expect("its state").is_none(), "worker {index} ended by itself");
        worker.kill().expect("killed");
        worker.wait().expect("its end");
        self.killed += 1;
    }

    fn pulse(&self, index: usize) -> u64 {
        self.pulses[index].stats().admitted
    }

    /// Nobody waits for the dead.
    fn everybody_goes_on(&mut self) {
        let living: Vec<_> = (0..WORKERS).filter(|&index| self.workers[index].is_some()).collect();
        let before: Vec<_> = living.iter().map(|&index| self.pulse(index)).collect();
        for (&index, before) in living.iter().zip(before) {
            let start = Instant::now();
            while self.pulse(index) == before {
                let worker = self.workers[index].as_mut().expect("a worker");
                assert!(worker.try_wait().expect("its state").is_none(), "worker {index} failed");
                assert!(start.elapsed() < GENEROUS, "worker {index} is stuck");
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        for _ in 0..3 {
            self.objects.round(&mut self.random);
        }
    }

    /// Each key has one breaker at most, and the open one its own.
    fn the_registry_is_whole(&self) {
        let registry = &self.objects.registry;
        assert_eq!(registry.peek(OPEN).map(|it| it.state()), Some(State::ForcedOpen));
        let mut keys: Vec<_> = registry.items().into_iter().map(|item| item.key).collect();
        assert!(keys.len() <= BREAKERS as usize);
        // While others remove and make, a look that takes a moment may see one twice.
        if self.workers.iter().all(Option::is_none) {
            let all = keys.len();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), all, "each once");
        }
        for pattern in PATTERNS {
            let is_whole = |config: &mut BreakerConfig| {
                assert!(config.cooldown == config.probe_timeout || config.cooldown == COOLDOWN, "{config:?}");
            };
            registry.update_config(pattern, is_whole).expect("room");
        }
    }

    /// No death leaves the shedder with a turn that nobody takes, or a threshold that nobody moves.
    fn the_shedder_goes_on(&self) {
        let shedder = &self.objects.shedder;
        let start = Instant::now();
        // Only steps tell a pressure that was told just now.
        while shedder.pressure() < 1.0 {
            shedder.tell("gauge", 5.0).expect("a gauge");
            shedder.check(Priority::Normal, 0);
            assert!(start.elapsed() < GENEROUS, "{:#?}", shedder.explain());
        }
        while shedder.pressure() > 0.0 {
            shedder.sample();
            assert!(start.elapsed() < GENEROUS, "{:#?}", shedder.explain());
        }
    }

    fn nothing_is_over_admitted(&mut self) {
        let Objects { bucket, limiter, log, .. } = &self.objects;
        let admitted = [bucket.stats().admitted, limiter.stats().admitted, log.stats().admitted];
        // Read after the counts: what was admitted since may not be in them, but its time is not either.
        let passed = u128::from(self.objects.arena.clock().now() - self.born_ns);
        let most = |burst: u64, rate: u64| u128::from(burst) + u128::from(rate) * passed / 1_000_000_000 + 1;
        let keys = KEYS.len() as u128;
        let periods = passed / LOG_PERIOD.as_nanos() + 1;
        for (now, before, most) in [
            (admitted[0], self.admitted[0], most(BURST, RATE)),
            (admitted[1], self.admitted[1], keys * most(KEY_BURST, KEY_RATE)),
            (
                admitted[2],
                self.admitted[2],
                LOG_KEYS.len() as u128 * u128::from(LOG_LIMIT / u64::from(LOG_EACH)) * periods,
            ),
        ] {
            assert!(u128::from(now) <= most, "{now} admitted, {most} allowed");
            assert!(now >= before, "a count went back from {before} to {now}");
        }
        assert!(self.objects.permits.in_use() <= PERMITS);
        // The payments after the withdrawals: one that is counted later was made later. A worker may be between its
        // payment and its count, and a killed one stays there.
        let retries = self.objects.budget.stats().withdrawn;
        let (calls, passed) = (self.objects.budget.stats().deposited, self.objects.arena.clock().now() - self.born_ns);
        let saved = BUDGET_RATE as u128 * (BUDGET_SPAN.as_nanos() + u128::from(passed)) / 1_000_000_000;
        let most = saved + u128::from((calls + self.killed + WORKERS as u64) / CALLS_A_RETRY) + 1;
        assert!(u128::from(retries) <= most, "{retries} retries, {most} affordable");
        self.admitted = admitted;
    }

    /// Everybody else is dead: at the first call that would be denied for their sake all is there again.
    fn all_comes_back(&self) {
        std::thread::sleep(NOTICED);
        let (objects, permits) = (&self.objects, &self.objects.permits);
        let held: Vec<_> = std::iter::from_fn(|| permits.try_acquire()).collect();
        assert_eq!(held.len(), PERMITS as usize, "permits came back");
        assert!(held.into_iter().all(|permit| permits.release(permit)));
        assert_eq!(permits.in_use(), 0);

        // What a dead one had in hand counts for a period; then each key that finds a block has all of its limit.
        std::thread::sleep(LOG_PERIOD * 2);
        for key in &LOG_KEYS[..7] {
            let taken = objects.log.check(key, LOG_LIMIT as u32);
            assert!(taken.allowed, "{taken:?}");
        }

        // The first call may be what finds all probes lost, and opens the circuit for a cooldown again.
        for _ in 0..20 {
            match objects.breaker.enter() {
                Ok(call) => call.success(),
                Err(rejected) => {
                    let wait = rejected.retry_after().expect("not for ever");
                    assert!(wait <= COOLDOWN + Duration::from_millis(1), "a dead one's probe blocks for {wait:?}");
                    std::thread::sleep(wait);
                }
            }
        }
        assert_eq!(objects.breaker.state(), State::Closed);

        let slots: Vec<_> = objects.arena.members().iter().map(|member| (member.pid, member.alive)).collect();
        assert_eq!(slots, [(std::process::id(), true)], "process slots");
        objects.changing.set_quota(quota(10, 10)).expect("nobody holds the lock");
        let held = objects.configured.config();
        assert_eq!(held, nth(held.min_calls), "settings of one change");
        objects.configured.set_config(&nth(1)).expect("nobody holds the lock");
        assert_eq!(objects.configured.config(), nth(1));
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for worker in self.workers.iter_mut().flatten() {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

fn kill_at_random(kills: u64, seed: u64) {
    let place = Place::new();
    let mut scene = Scene::new(place.options("orders"), seed);
    let mut killed = 0;
    while killed < kills {
        (0..WORKERS).for_each(|index| scene.start(index));
        for _ in 0..8 {
            scene.everybody_goes_on();
            std::thread::sleep(Duration::from_micros(scene.random.u64(..2_000)));
            let index = scene.random.usize(..WORKERS);
            scene.kill(index);
            scene.nothing_is_over_admitted();
            scene.the_registry_is_whole();
            scene.start(index);
            if scene.random.u32(..3) == 0 {
                // While it opens the arena, registers and counts for the first time.
                std::thread::sleep(Duration::from_micros(scene.random.u64(..8_000)));
                scene.kill(index);
                scene.start(index);
                killed += 1;
            }
        }
        scene.everybody_goes_on();
        for index in 0..WORKERS {
            scene.kill(index);
            scene.nothing_is_over_admitted();
            scene.the_registry_is_whole();
        }
        scene.all_comes_back();
        scene.the_shedder_goes_on();
        killed += 8 + WORKERS as u64;
    }
    assert!(scene.admitted.iter().all(|&admitted| admitted > kills), "{:?}", scene.admitted);
    counts_add_up(&scene);
}

/// After all that, stripes that were the dead ones' count for the living.
fn counts_add_up(scene: &Scene) {
    const EACH: u64 = 3_000;
    let counted = || {
        let stats = scene.objects.bucket.stats();
        stats.admitted + stats.denied
    };
    let before = counted();
    let workers: Vec<_> = (0..WORKERS).map(|_| worker::start_counting(&scene.options, EACH)).collect();
    for mut worker in workers {
        assert!(worker.wait().expect("its end").success());
    }
    assert_eq!(counted() - before, WORKERS as u64 * 3 * EACH);
}

#[test]
fn killed_at_random_nobody_waits_and_nothing_is_lost() {
    let (kills, seed) = (from_env("TIDEGATE_CRASH_KILLS", 200), from_env("TIDEGATE_CRASH_SEED", fastrand::u64(..)));
    println!("TIDEGATE_CRASH_KILLS={kills} TIDEGATE_CRASH_SEED={seed}");
    let (done, ended) = mpsc::channel();
    let test = std::thread::spawn(move || {
        kill_at_random(kills, seed);
        let _ = done.send(());
    });
    // A lock that a dead process held would be waited for without an end.
    match ended.recv_timeout(GENEROUS + Duration::from_millis(500) * kills as u32) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("stuck"),
        _ => test.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
    }
}

/// The owner of all probes is killed: the next caller has one, with no further cooldown, and the circuit does not open
/// again.
#[test]
fn a_killed_owners_probes_come_back_to_the_next_caller() {
    let place = Place::new();
    let options = place.options("probes");
    let objects = Objects::open(&options);
    let (breaker, pulse) = (&objects.breaker, pulse(&objects.arena, 0));
    for _ in 0..3 {
        while let (State::Closed, Ok(call)) = (breaker.state(), breaker.enter()) {
            call.failure();
        }
        std::thread::sleep(Duration::from_nanos(breaker.retry_after_ns()));
        let (opened, before) = (breaker.stats().opened, pulse.stats().admitted);
        let mut owner = worker::start_probing(&options);
        let start = Instant::now();
        while pulse.stats().admitted == before {
            assert!(start.elapsed() < GENEROUS && owner.try_wait().expect("its state").is_none(), "it holds no probe");
            std::thread::sleep(Duration::from_micros(200));
        }
        assert!(breaker.acquire().is_err(), "every probe is out, and their owner lives");
        owner.kill().expect("killed");
        owner.wait().expect("its end");
        // A look at who lives is at most 10 ms old.
        std::thread::sleep(NOTICED);
        let probes: Vec<_> = (0..3).map(|_| breaker.enter().expect("the slot of a dead owner")).collect();
        assert_eq!((breaker.state(), breaker.stats().opened), (State::HalfOpen, opened));
        probes.into_iter().for_each(tidegate::breaker::Guard::success);
        assert_eq!(breaker.state(), State::Closed);
    }
}
