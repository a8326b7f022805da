//! Whatever bytes an arena holds, and whoever writes to it meanwhile: no operation panics, hangs or reads out of
//! bounds. Debug builds check every shift, index and sum.

use super::*;
use crate::arena::layout::{OBJECTS_AT, Record};
use crate::sync::{AtomicU64, Ordering};
use crate::{Arena, LimitSet, ManualClock, OnConflict};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const KEYS: [&[u8]; 4] = [b"", b"ada", b"ben", b"cay"];

fn config(algorithm: Algorithm, rng: &mut fastrand::Rng) -> LimiterConfig {
    let rates = ["10/min", "50/s", "1/day", "3 per 7 seconds"];
    let block = Block::new(2, Duration::from_secs(60), Duration::from_secs(10), 2.0, None).unwrap();
    LimiterConfig {
        max_keys: rng.usize(1..40),
        block: rng.bool().then_some(block),
        warm_up: rng.bool().then(|| WarmUp::new(Duration::from_secs(100), 0.1).unwrap()),
        mode: Mode::Enforce,
        ..LimiterConfig::new(algorithm, rng.choice(rates).unwrap().parse().unwrap())
    }
}

fn arena() -> Arc<Arena> {
    Arena::private("hostile", 1 << 20, ManualClock::new(0).into()).unwrap()
}

/// All words of the only object.
fn words(arena: &Arena) -> &[AtomicU64] {
    arena.mapping().slice(OBJECTS_AT, arena.objects()[0].bytes / 8).unwrap()
}

/// Words that mean something now and then: of all kinds, and with the tags of keys that will be asked for.
fn word(rng: &mut fastrand::Rng, limiter: &RateLimiter) -> u64 {
    let any = rng.u64(..);
    let tag = limiter.hash(rng.choice(KEYS).unwrap()).tag();
    match rng.u8(0..8) {
        0 => 0,
        1 => u64::MAX,
        2 => any >> rng.u32(0..64),
        3 => 1 << 63 | any,
        4 | 5 => cell::pack(tag, any),
        // A busy header.
        6 => 1 << 63 | any << 60 | tag << 36 | any >> 28,
        _ => any,
    }
}

fn scribble(limiter: &RateLimiter, words: &[AtomicU64], rng: &mut fastrand::Rng, share: f64) {
    for at in words {
        if rng.f64() < share {
            // Relaxed: any bytes at any time.
            at.store(word(rng, limiter), Ordering::Relaxed);
        }
    }
}

fn times(rng: &mut fastrand::Rng) -> u64 {
    match rng.u8(0..6) {
        0 => 0,
        1 => u64::MAX,
        2 => u64::MAX - rng.u64(..1_000),
        3 => rng.u64(..),
        4 => rng.u64(..) >> rng.u32(0..64),
        _ => rng.u64(..1 << 40),
    }
}

/// One of each operation.
fn everything(limiter: &RateLimiter, rng: &mut fastrand::Rng) {
    let (now, key) = (times(rng), rng.choice(KEYS).unwrap());
    let n = rng.choice([0, 1, 2, 5, 11, 100, u32::MAX]).unwrap();
    let wait = Duration::from_nanos(times(rng));
    let quotas = ["10/min", "7/min", "1000/s", "3 per 7 seconds", "1/day"];
    let quota: Quota = rng.choice(quotas).unwrap().parse().unwrap();
    let tier = limiter.tier(quota).ok();
    match rng.u8(0..18) {
        0..=3 => drop(limiter.try_acquire_at(now, key, n)),
        4..=6 => drop(limiter.check_at(now, key, n)),
        7 => drop(tier.map(|tier| limiter.check_tier_at(now, key, n, &tier))),
        8 => drop(limiter.peek_at(now, key, tier.as_ref())),
        9 => limiter.refund_at(now, key, n, tier.as_ref()),
        10 => drop(limiter.penalize_at(now, key, wait)),
        11 => limiter.reset_at(now, key),
        12 => limiter.reset_all_at(now),
        13 => drop((limiter.hit_at(now, key, n), limiter.windows_at(now, key))),
        14 => assert!(limiter.len_at(now) <= limiter.max_keys() * 7 + 7),
        15 => drop((limiter.stats(), limiter.quota().to_string(), limiter.capacity_ns(), limiter.memory())),
        16 => drop(limiter.set_quota(quota)),
        _ => {
            let hash = limiter.hash(key);
            let _ = limiter.probe_at(now, hash, n);
            if let Ok((_, receipt)) = limiter.charge_at(now, hash, n) {
                limiter.undo_at(times(rng), receipt);
            }
            let _ = limiter.note_denied(now, hash);
        }
    }
}

#[test]
fn any_bytes_are_survived() {
    let mut rng = fastrand::Rng::with_seed(0x7164_6567_6174_6521);
    for _ in 0..60 {
        for algorithm in Algorithm::ALL {
            let arena = arena();
            let limiter = RateLimiter::in_arena(&arena, "it", config(algorithm, &mut rng), OnConflict::Error).unwrap();
            for share in [1.0, 1.0, 0.1, 0.01] {
                scribble(&limiter, words(&arena), &mut rng, share);
                (0..60).for_each(|_| everything(&limiter, &mut rng));
            }
        }
    }
}

/// Given at the end, come what may: the other thread waits for it.
struct Signal<'a>(&'a AtomicBool);

impl Drop for Signal<'_> {
    fn drop(&mut self) {
        // Relaxed: only a signal.
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn a_process_that_writes_all_the_time_stops_nobody() {
    let mut rng = fastrand::Rng::with_seed(0x7164_6567_6174_6522);
    for algorithm in Algorithm::ALL {
        let arena = arena();
        let limiter = RateLimiter::in_arena(&arena, "it", config(algorithm, &mut rng), OnConflict::Error).unwrap();
        let set = LimitSet::new([("it", Arc::new(limiter).into())]).unwrap();
        let Some((_, crate::limit::Member::Keyed(limiter))) = set.members().next() else { unreachable!() };
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let mut hand = rng.fork();
            let (arena, done) = (&arena, &done);
            scope.spawn(move || {
                let words = words(arena);
                // Relaxed: only a signal.
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    scribble(limiter, words, &mut hand, 0.5);
                }
            });
            let _done = Signal(done);
            for _ in 0..2_000 {
                everything(limiter, &mut rng);
                drop(set.check_at(times(&mut rng), &[b"ada"], 1));
            }
        });
    }
}

#[test]
fn a_record_of_any_bytes_opens_or_is_refused() {
    let mut rng = fastrand::Rng::with_seed(0x7164_6567_6174_6523);
    let mut opened = 0;
    for _ in 0..200 {
        for algorithm in Algorithm::ALL {
            let arena = arena();
            let config = config(algorithm, &mut rng);
            let limiter = RateLimiter::in_arena(&arena, "it", config, OnConflict::Error).unwrap();
            let record: &Record = arena.mapping().value(crate::arena::layout::DIRECTORY_AT).unwrap();
            for word in record.basis.iter().chain(record.settings.iter().flat_map(|set| &set.words)) {
                if rng.u8(0..8) == 0 {
                    // Relaxed: any bytes at any time.
                    word.store(self::word(&mut rng, &limiter), Ordering::Relaxed);
                }
            }
            for on_conflict in [OnConflict::Keep, OnConflict::Apply] {
                if let Ok(again) = RateLimiter::in_arena(&arena, "it", config, on_conflict) {
                    opened += 1;
                    (0..20).for_each(|_| everything(&again, &mut rng));
                }
            }
        }
    }
    assert!(opened > 100, "{opened}");
}
