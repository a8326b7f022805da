//! What the hardware charges for the least that a decision can do.

use crate::harness::Contender;
use crate::keyed;
use crate::keys::Keys;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One atomic addition.
pub fn fetch_add() -> Contender {
    Contender::new("fetch_add", || {
        let word = line(0);
        // Relaxed: the floor pays for the addition and for no ordering.
        move || word.0.fetch_add(1, Ordering::Relaxed)
    })
    .into_floor()
}

/// One atomic load.
pub fn load() -> Contender {
    Contender::new("atomic load", || {
        let word = line(0);
        // Relaxed: as above.
        move || word.0.load(Ordering::Relaxed)
    })
    .into_floor()
}

/// A load, and a count that no other thread writes: the least that a counted decision can do.
pub fn load_and_count() -> Contender {
    thread_local!(static COUNT: AtomicU64 = const { AtomicU64::new(0) });
    Contender::new("atomic load + own count", || {
        let word = line(0);
        move || {
            // Relaxed, all: as above.
            COUNT.with(|count| count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed));
            word.0.load(Ordering::Relaxed)
        }
    })
    .into_floor()
}

/// A read of the processor's time stamp (of the monotonic clock where there is none).
pub fn clock() -> Contender {
    Contender::new("clock", || ticks).into_floor()
}

/// A clock read and one compare-and-swap: the least that a bucket can do.
pub fn clock_and_cas() -> Contender {
    Contender::new("clock + CAS", || {
        let word = line(0);
        move || {
            // Relaxed throughout: the floor pays for no ordering.
            let mut old = word.0.load(Ordering::Relaxed);
            let now = ticks();
            while let Err(other) =
                word.0.compare_exchange_weak(old, old.max(now) + 1, Ordering::Relaxed, Ordering::Relaxed)
            {
                old = other;
            }
        }
    })
    .into_floor()
}

/// A look at every byte of the key: what its bytes cost to fetch, without a table.
pub fn read(keys: &Arc<Keys>) -> Contender {
    let keys = Arc::clone(keys);
    Contender::looping("reading the key", move || {
        keyed::over(&keys, |key| {
            let (words, rest) = key.as_bytes().as_chunks::<8>();
            let word = words.iter().fold(0, |sum, word| sum ^ u64::from_le_bytes(*word));
            rest.iter().fold(word, |sum, byte| sum ^ u64::from(*byte)) != u64::MAX
        })
    })
    .into_floor()
}

/// A cache line of its own, so that the floor shares with nothing.
#[repr(align(128))]
struct Line(AtomicU64);

fn line(value: u64) -> std::sync::Arc<Line> {
    std::sync::Arc::new(Line(AtomicU64::new(value)))
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has this instruction; it only writes registers.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn ticks() -> u64 {
    use std::{sync::LazyLock, time::Instant};
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as u64
}
