//! A policy in children of fork, whose parent's threads were reloading it.
#![cfg(all(unix, feature = "policy"))]
#![allow(unsafe_code)] // An alarm in the child.

#[allow(dead_code, reason = "shared with other tests")]
mod children;

use children::{child, ends_well};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tidegate::Clock;
use tidegate::policy::{Policy, PolicyConfig, PolicyFile};

fn text(n: u64) -> String {
    format!(
        "version = 1\nlimits.all = {{ rate = \"{}/s\", burst = 10 }}\nconcurrency.c = {{ limit = {} }}\n\
         gates.g.use = {{ limits = [\"all\"], concurrency = \"c\" }}\n",
        10 + n % 5,
        4 - n % 2
    )
}

/// Where the child hangs, the alarm ends it, and that is no good end.
fn asked(ask: impl FnOnce() -> bool) {
    ends_well(child(|| {
        // SAFETY: a timer of the child's.
        unsafe { libc::alarm(20) };
        ask()
    }));
}

#[test]
fn a_child_asks_for_what_its_parent_was_reloading() {
    let policy = Policy::new(PolicyConfig::parse(&text(0)).unwrap(), Clock::monotonic()).expect("made");
    let file = PolicyFile::parse(&text(0)).expect("valid");
    let gate = policy.gate("g").unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                policy.reload_with(PolicyConfig::parse(&text(n)).unwrap()).expect("in place");
                file.read_again(Some(&text(n))).and_then(|_| file.accept()).expect("in place");
            }
        });
        // Also where a child fails: the thread is waited for.
        let rounds = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..100 {
                std::thread::sleep(Duration::from_micros(round * 10));
                asked(|| {
                    assert!(Arc::ptr_eq(&gate, &policy.gate("g").unwrap()));
                    assert!((10..15).contains(&policy.bucket("all").unwrap().quota().count()));
                    policy.reload_with(PolicyConfig::parse(&text(3)).unwrap()).unwrap();
                    // All of it, whatever a thread of the parent's had done by half.
                    assert_eq!(policy.bucket("all").unwrap().quota().count(), 13);
                    assert_eq!(policy.concurrency("c").unwrap().limit(), 3);
                    file.read_again(Some(&text(3))).and_then(|_| file.accept()).unwrap();
                    true
                });
            }
        }));
        stop.store(true, Ordering::Relaxed);
        rounds.unwrap();
    });
}
