//! What a limit for a million keys holds: the resident memory that filling it adds, each in a process of its own.

use crate::harness::Plan;
use crate::keyed::{self, LIVE};
use crate::keys::Keys;
use governor::DefaultKeyedRateLimiter;
use std::hint::black_box;
use std::process::Command;
use tidegate::Clock;
use tidegate::limit::{Algorithm, RateLimiter};

const KEYS: usize = 1_000_000;
const WORK: &str = "keyed, bytes per key, 1 M live keys";
const MOST: f64 = 40.0;

pub fn rows(plan: &Plan) {
    if !plan.wants(WORK) {
        return;
    }
    eprintln!("  {WORK}");
    let config = keyed::config(Algorithm::TokenBucket, LIVE, KEYS);
    let limiter = RateLimiter::with_config(config, Clock::monotonic()).expect("a valid limiter");
    let told = limiter.memory() as f64 / KEYS as f64;
    let (tidegate, governor) = (resident("tidegate"), resident("governor"));
    println!(
        "{{\"binding\":\"rust\",\"work\":\"{WORK}\",\"unit\":\"B\",\"tidegate\":\"tidegate, memory()\",\
         \"floor\":null,\"floors\":[\"allowed\"],\"targets\":[{{\"of\":\"allowed\",\"most\":1}}],\
         \"ns\":{{\"tidegate, memory()\":[{told:.1}],\"tidegate, resident\":[{tidegate:.1}],\
         \"governor\":[{governor:.1}],\"allowed\":[{MOST}]}}}}"
    );
}

/// Bytes a key that `who` adds to a fresh process.
fn resident(who: &str) -> f64 {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program).args(["--resident", who]).output().expect("it starts again");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse::<f64>().unwrap_or_else(|_| panic!("{who}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The process that [`resident`] starts.
pub fn child(who: Option<&str>) {
    let keys = Keys::new(KEYS);
    let before = pages();
    let admitted = match who {
        Some("tidegate") => {
            let config = keyed::config(Algorithm::TokenBucket, LIVE, KEYS);
            let limiter = RateLimiter::with_config(config, Clock::monotonic()).expect("a valid limiter");
            let admitted = keys.all().iter().filter(|key| limiter.try_acquire(key.as_bytes(), 1)).count();
            println!("{}", added(before));
            black_box(limiter);
            admitted
        }
        _ => {
            let limiter = DefaultKeyedRateLimiter::<String>::keyed(LIVE.governor());
            let admitted = keys.all().iter().filter(|key| limiter.check_key(key).is_ok()).count();
            println!("{}", added(before));
            black_box(limiter);
            admitted
        }
    };
    assert_eq!(admitted, KEYS, "each new key is admitted");
}

fn added(before: f64) -> f64 {
    (pages() - before) / KEYS as f64
}

/// Resident bytes of this process.
#[cfg(target_os = "linux")]
fn pages() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
    let resident: f64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    // SAFETY: takes no pointer.
    resident * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as f64
}

#[cfg(not(target_os = "linux"))]
fn pages() -> f64 {
    f64::NAN
}
