//! The processes that are killed: this test binary again, told what to do by its environment.

use crate::objects::{Objects, pulse};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tidegate::arena::HostConfig;

const TOLD: &str = "TIDEGATE_TEST_WORKER";
/// A worker whose starter died ends by itself.
const LIFETIME: Duration = Duration::from_secs(120);

/// Rounds for ever; its pulse is that of number `index`.
pub(crate) fn start(options: &HostConfig, index: usize) -> Child {
    spawn(options, &format!("work {index}"))
}

/// Counts so often in the bucket, in each of three threads, and ends.
pub(crate) fn start_counting(options: &HostConfig, count: u64) -> Child {
    spawn(options, &format!("count {count}"))
}

/// Opens the breaker's circuit, takes a probe of it when the cooldown has ended, and waits to be killed.
pub(crate) fn start_probing(options: &HostConfig) -> Child {
    spawn(options, "probe 0")
}

fn spawn(options: &HostConfig, task: &str) -> Child {
    let path = options.path.as_ref().and_then(|path| path.to_str()).expect("a path");
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "worker::a_worker", "--nocapture"])
        .env(TOLD, format!("{path}|{}|{task}", options.name))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("a process")
}

/// What the processes run that the test starts; nothing when it is run as a test.
#[test]
fn a_worker() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let told: Vec<_> = told.split(['|', ' ']).collect();
    let [path, name, task, number] = told[..] else { panic!("{told:?}") };
    let mut options = HostConfig::new(name);
    options.path = Some(path.into());
    let (objects, number) = (Objects::open(&options), number.parse::<u64>().expect("a number"));
    if task == "count" {
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..number {
                        objects.bucket.try_acquire(1);
                    }
                });
            }
        });
        return;
    }
    if task == "probe" {
        let _probes: Vec<_> = std::iter::from_fn(|| objects.breaker.acquire().ok()).take(3).collect();
        pulse(&objects.arena, 0).try_acquire(0);
        std::thread::sleep(LIFETIME);
        return;
    }
    let pulse = pulse(&objects.arena, number as usize);
    let (mut random, start) = (fastrand::Rng::new(), Instant::now());
    while start.elapsed() < LIFETIME {
        objects.round(&mut random);
        pulse.try_acquire(0);
    }
}
