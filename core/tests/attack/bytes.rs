//! Invariant: an arena whose words are all of one pattern, or are each other's, while it is used: answers may be wrong,
//! but they come, and nothing panics.

use crate::everything::{CAPACITY, Everything};
use crate::support::Place;
use std::fs::File;
use std::os::unix::fs::FileExt;
use tidegate::arena::HostOptions;
use tidegate::{Arena, OnConflict};

/// Behind the header.
const FROM: usize = 144;

fn options(place: &Place) -> HostOptions {
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
