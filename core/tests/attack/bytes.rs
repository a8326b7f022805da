//! Invariant: an arena whose words are all of one pattern, or are each other's, while it is used: answers may be wrong,
//! but they come, and nothing panics.

use crate::everything::{CAPACITY, Everything};
use crate::support::Place;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};
use tidegate::arena::HostConfig;
use tidegate::concurrency::{ConcurrencyConfig, ConcurrencyLimiter};
use tidegate::limit::Mode;
use tidegate::{Arena, OnConflict};

/// Behind the header.
const FROM: usize = 144;
/// Longer than a place of nobody's is taken for somebody's.
const PATIENCE: Duration = Duration::from_secs(10);

fn options(place: &Place) -> HostConfig {
    let mut options = place.options("bytes");
    options.capacity = Some(CAPACITY);
    options
}

#[test]
fn patterns_and_swapped_objects_amid_use() {
    let place = Place::new();
    let arena = Arena::open(&options(&place)).expect("made");
    let (all, errors) = Everything::open(&arena, OnConflict::Error);
    assert!(errors.is_empty(), "{errors:?}");
    (0..20).for_each(|_| all.operate(&mut || fastrand::u64(..)));
    let whole = std::fs::read(place.file("bytes")).expect("a file");
    let file = File::options().read(true).write(true).open(place.file("bytes")).expect("a file");
    let patterns = [
        u64::MAX,
        0,
        1,
        1 << 63,
        u64::MAX >> 1,
        !1,
        !2,
        !3,
        1 << 32,
        u64::MAX << 32,
        u64::MAX >> 32,
        0x5555_5555_5555_5555,
    ];
    for round in 0..36 {
        let mut bytes = whole.clone();
        let words = bytes[FROM..].len() / 8;
        if let Some(pattern) = patterns.get(round) {
            bytes[FROM..].chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&pattern.to_ne_bytes()));
        } else if round % 2 == 0 {
            // Everything lies elsewhere, by lines.
            let by = fastrand::usize(..words / 8) * 64;
            bytes[FROM..].rotate_left(by);
        } else {
            for _ in 0..40 {
                let len = 64 << fastrand::usize(..8);
                let [one, two] = [(); 2].map(|()| FROM + fastrand::usize(..(words * 8 - len) / 64) * 64);
                let moved = bytes[one..one + len].to_vec();
                bytes.copy_within(two..two + len, one);
                bytes[two..two + len].copy_from_slice(&moved);
            }
        }
        file.write_all_at(&bytes, 0).expect("written");
        (0..3).for_each(|_| all.operate(&mut || fastrand::u64(..)));
        let (again, _) = Everything::open(&arena, OnConflict::Apply);
        again.operate(&mut || fastrand::u64(..));
    }
}

/// Places that foreign bytes say are those of processes which never were come back, and who waits gets them.
#[test]
fn places_of_nobody_come_back() {
    let place = Place::new();
    let arena = Arena::open(&options(&place)).expect("made");
    let config = ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::new(2) };
    let limiter = ConcurrencyLimiter::in_arena(&arena, "places", config, OnConflict::Error).expect("a limiter");
    let words = || {
        let bytes = std::fs::read(place.file("bytes")).expect("a file");
        bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().expect("8"))).collect::<Vec<_>>()
    };
    assert!(limiter.release(limiter.try_acquire().expect("free")));
    let free = words();
    let held = [limiter.try_acquire().expect("free"), limiter.try_acquire().expect("free")];
    let taken = words();
    // Whoever is gone has been looked for.
    assert!(limiter.try_acquire().is_none());
    assert!(held.into_iter().all(|permit| limiter.release(permit)));
    let file = File::options().write(true).open(place.file("bytes")).expect("a file");
    for (at, (before, after)) in free.into_iter().zip(taken).enumerate() {
        if before != after && after >> 32 != 0 {
            file.write_all_at(&(after | u64::MAX << 32).to_ne_bytes(), at as u64 * 8).expect("written");
        }
    }
    assert!(limiter.try_acquire().is_none(), "nothing was written over");
    let all = [limiter.acquire(Some(PATIENCE)), limiter.acquire(Some(PATIENCE))];
    assert!(all.iter().all(Option::is_some));
}

/// A process that is stopped between the two steps of a release has freed a place, and leaves it said that none is
/// free: who polls or waits has it at once, and the others soon.
#[test]
fn what_a_stopped_release_left_said_is_doubted() {
    const LIMIT: u32 = 37;
    let place = Place::new();
    let arena = Arena::open(&options(&place)).expect("made");
    let config = ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::new(LIMIT) };
    let limiter = ConcurrencyLimiter::in_arena(&arena, "places", config, OnConflict::Error).expect("a limiter");
    let words = || {
        let bytes = std::fs::read(place.file("bytes")).expect("a file");
        bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().expect("8"))).collect::<Vec<_>>()
    };
    let mut held: Vec<_> = (0..LIMIT).map(|_| limiter.try_acquire().expect("free")).collect();
    let before = words();
    // The first refusal looks for the dead, and takes back what it said.
    assert!(limiter.try_acquire().is_none() && limiter.try_acquire().is_none());
    let after = words();
    let changed = before.into_iter().zip(after).enumerate();
    let said = changed.filter(|(_, (before, after))| (*before, *after) == (0, LIMIT.into()));
    let [at] = said.map(|(at, _)| at as u64 * 8).collect::<Vec<_>>()[..] else { panic!("one word says it") };
    let file = File::options().write(true).open(place.file("bytes")).expect("a file");
    let stopped = |held: &mut Vec<_>| {
        assert!(limiter.release(held.pop().expect("one")));
        // Where a thread gave one back last it looks without asking: not there.
        assert!(limiter.release(held.remove(0)));
        held.push(limiter.try_acquire().expect("the same again"));
        file.write_all_at(&u64::from(LIMIT).to_ne_bytes(), at).expect("written");
    };
    stopped(&mut held);
    held.push(limiter.poll().expect("by a look"));
    stopped(&mut held);
    held.push(limiter.acquire(Some(PATIENCE)).expect("in a line"));
    let mut soonest = PATIENCE;
    for _ in 0..5 {
        stopped(&mut held);
        let start = Instant::now();
        let permit = std::iter::repeat_with(|| limiter.try_acquire()).find_map(|permit| permit).expect("for ever");
        soonest = soonest.min(start.elapsed());
        held.push(permit);
    }
    // It was a second, until the next look for the dead.
    assert!(soonest < Duration::from_millis(500), "{soonest:?}");
}
