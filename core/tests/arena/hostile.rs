//! Bytes that no honest process wrote: answers may be wrong, but they come, and nothing is read or written that is not
//! the arena's.

use crate::everything::{CAPACITY, Everything};
use crate::support::Place;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tidegate::arena::HostConfig;
use tidegate::{Arena, OnConflict};

/// The words of the header that its checksum covers, and the checksum: who changes them has a file that is refused.
const AFTER_HEADER: u64 = 144;
/// Far longer than any round takes.
const DEADLINE: Duration = Duration::from_secs(120);

fn options(place: &Place) -> HostConfig {
    let mut options = place.options("hostile");
    options.capacity = Some(CAPACITY);
    options
}

/// An arena with one of everything, used a little.
fn make(place: &Place) -> u64 {
    let arena = Arena::open(&options(place)).expect("made");
    let (all, errors) = Everything::open(&arena, OnConflict::Error);
    assert!(errors.is_empty() && all.len() == 22, "{errors:#?}");
    (0..50).for_each(|_| all.operate(&mut || fastrand::u64(..)));
    arena.objects().iter().map(|object| object.bytes as u64).sum()
}

/// A word as an attacker would choose it: of the extremes, near what is there, from elsewhere, or any.
fn hostile(file: &File, at: u64, size: u64) -> u64 {
    let read = |at: u64| {
        let mut word = [0; 8];
        file.read_exact_at(&mut word, at).map_or(0, |()| u64::from_ne_bytes(word))
    };
    match fastrand::u8(0..10) {
        0 => 0,
        1 => u64::MAX,
        2 => read(at) ^ 1 << fastrand::u8(0..64),
        3 => read(at).wrapping_add(fastrand::u64(0..16)).wrapping_sub(8),
        4 => read(fastrand::u64(0..size / 8) * 8),
        5 => u64::MAX >> fastrand::u8(0..64),
        6 => 1 << fastrand::u8(0..64),
        7 => fastrand::u64(0..300),
        _ => fastrand::u64(..),
    }
}

fn file(path: &Path) -> File {
    File::options().read(true).write(true).open(path).expect("a file")
}

/// Ends the whole run if the test has not ended by then: a hang is a failure, and a stuck thread cannot be stopped.
fn watched<T>(what: &str, work: impl FnOnce(&AtomicBool) -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let start = Instant::now();
            // Relaxed: only that it ended.
            while !done.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
                if start.elapsed() > DEADLINE {
                    eprintln!("{what}: hangs");
                    std::process::abort();
                }
            }
        });
        /// Also when it panics.
        struct Done<'a>(&'a AtomicBool);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                // Relaxed: as above.
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let ended = Done(&done);
        let result = work(&done);
        drop(ended);
        result
    })
}

#[test]
fn an_arena_of_random_bytes_gives_errors_or_answers() {
    let place = Place::new();
    make(&place);
    let whole = std::fs::read(place.file("hostile")).expect("a file");
    let (mut opened, mut refused) = (0, 0);
    watched("random bytes", |_| {
        for _ in 0..40 {
            let mut bytes = whole.clone();
            let from = AFTER_HEADER as usize;
            fastrand::fill(&mut bytes[from..]);
            file(&place.file("hostile")).write_all_at(&bytes, 0).expect("written");
            let arena = Arena::open(&options(&place)).expect("its header is whole");
            let (all, errors) = Everything::open(&arena, OnConflict::Keep);
            (opened, refused) = (opened + all.len(), refused + errors.len());
            (0..20).for_each(|_| all.operate(&mut || fastrand::u64(..)));
        }
    });
    assert_eq!(opened + refused, 40 * 22);
}

/// Names and kinds stay, so that objects are opened; everything else in their records, in the slots, and in themselves
/// changes.
#[test]
fn damaged_records_and_objects_give_errors_or_answers() {
    let place = Place::new();
    make(&place);
    let whole = std::fs::read(place.file("hostile")).expect("a file");
    let size = whole.len() as u64;
    let (mut opened, mut refused) = (0, 0);
    watched("damaged records", |_| {
        for round in 0..140 {
            let target = file(&place.file("hostile"));
            target.write_all_at(&whole, 0).expect("written");
            for _ in 0..1 << (round % 14) {
                let at = fastrand::u64(AFTER_HEADER / 8..size / 8) * 8;
                target.write_all_at(&hostile(&target, at, size).to_ne_bytes(), at).expect("written");
            }
            let arena = Arena::open(&options(&place)).expect("its header is whole");
            let (all, errors) = Everything::open(&arena, [OnConflict::Keep, OnConflict::Apply][round % 2]);
            (opened, refused) = (opened + all.len(), refused + errors.len());
            (0..5).for_each(|_| all.operate(&mut || fastrand::u64(..)));
        }
    });
    assert!(opened > 0 && refused > 0, "{opened} opened, {refused} refused");
}

/// Another process of the same user writes while threads use everything, and open everything anew.
#[test]
fn bytes_that_change_during_use_give_wrong_answers_at_worst() {
    let place = Place::new();
    make(&place);
    let arena = Arena::open(&options(&place)).expect("opened");
    let (all, errors) = Everything::open(&arena, OnConflict::Error);
    assert!(errors.is_empty(), "{errors:#?}");
    let end = Instant::now() + Duration::from_secs(3);
    let rounds = watched("changing bytes", |_| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let target = file(&place.file("hostile"));
                let size = CAPACITY as u64;
                while Instant::now() < end {
                    let at = fastrand::u64(AFTER_HEADER / 8..size / 8) * 8;
                    target.write_all_at(&hostile(&target, at, size).to_ne_bytes(), at).expect("written");
                }
            });
            let users: Vec<_> = (0..3)
                .map(|user| {
                    let (all, arena) = (&all, &arena);
                    scope.spawn(move || {
                        let mut rounds = 0_u64;
                        while Instant::now() < end {
                            all.operate(&mut || fastrand::u64(..));
                            if user == 0 {
                                let (fresh, _) = Everything::open(arena, OnConflict::Apply);
                                fresh.operate(&mut || fastrand::u64(..));
                            }
                            rounds += 1;
                        }
                        rounds
                    })
                })
                .collect();
            users.into_iter().map(|user| user.join().expect("no panic")).collect::<Vec<_>>()
        })
    });
    assert!(rounds.iter().all(|&rounds| rounds > 0), "{rounds:?}");
}
