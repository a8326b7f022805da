//! Filesystems without room.

use crate::child::Other;
use crate::support::{Place, refused};
use nix::fcntl::{FallocateFlags, fallocate};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;
use tidegate::arena::{ArenaError, ArenaErrorKind, HostConfig};
use tidegate::limit::{Algorithm, LimiterConfig, Mode};
use tidegate::{Arena, OnConflict, RateLimiter};

#[test]
fn a_full_filesystem_is_an_error_and_keeps_nothing() {
    let Some(place) = Place::of_size(4 << 20) else { return };
    let arena = place.open("orders").expect("its objects take their space when they are made");
    let first = limiter(&arena, "first", 20_000).expect("there is room");
    let parts = ["no room for", "\"orders\"", "--shm-size", "max_keys", "TIDEGATE_DIR"];
    refused(limiter(&arena, "second", 300_000), ArenaErrorKind::NoSpace, &parts);
    assert_eq!(arena.objects().len(), 1, "and nothing of it is left");
    let third = limiter(&arena, "third", 20_000).expect("smaller fits");
    // Every byte of theirs can be written, with the filesystem full.
    fill(&place);
    refused(limiter(&arena, "fourth", 20_000), ArenaErrorKind::NoSpace, &parts);
    for limiter in [first, third] {
        (0..20_000_u32).for_each(|key| assert!(limiter.try_acquire(&key.to_ne_bytes(), 1)));
        limiter.reset_all();
    }
    let parts = ["no room for", "billing", "0 are free", "--shm-size", "TIDEGATE_DIR"];
    refused(place.open("billing"), ArenaErrorKind::NoSpace, &parts);
    assert_eq!(place.names(), ["filler", "orders.vN.arena"]);
}

fn limiter(arena: &Arc<Arena>, name: &str, max_keys: usize) -> Result<RateLimiter, ArenaError> {
    let mut config = LimiterConfig::new(Algorithm::TokenBucket, "10/min".parse().expect("a quota"));
    (config.max_keys, config.mode) = (max_keys, Mode::Enforce);
    RateLimiter::in_arena(arena, name, config, OnConflict::Error)
}

/// Takes what is left of a filesystem.
fn fill(place: &Place) {
    let mut filler = std::fs::File::create(place.path().join("filler")).expect("made");
    while filler.write_all(&[1; 4096]).is_ok() {}
}

/// A sparse copy, as of `cp --sparse` or a backup.
#[test]
fn a_file_with_holes_is_refused_where_they_cannot_be_filled() {
    let Some(place) = Place::of_size(4 << 20) else { return };
    let file = place.make("orders");
    let mut header = [0; 4096];
    File::open(&file).and_then(|file| file.read_exact_at(&mut header, 0)).expect("a header");
    std::fs::remove_file(&file).expect("removed");
    let sparse = File::options().write(true).create_new(true).mode(0o600).open(&file).expect("made");
    sparse.set_len(16 << 20).and_then(|()| sparse.write_all_at(&header, 0)).expect("sparse");
    fill(&place);
    refused(place.open("orders"), ArenaErrorKind::NoSpace, &["orders.vN.arena has holes", "tidegate rm orders"]);
    std::fs::remove_file(place.path().join("filler")).expect("removed");
    let arena = place.open("orders").expect("filled");
    assert!(crate::support::bucket(&arena, "everyone").expect("made").try_acquire(1));
}

/// Somebody takes pages away while they are used: they read as zeros, and answers may be wrong.
#[test]
fn punched_holes_give_wrong_answers_at_worst() {
    let place = Place::new();
    let arena = place.open("orders").expect("made");
    let held = limiter(&arena, "users", 1_000).expect("made");
    let file = File::options().read(true).write(true).open(place.file("orders")).expect("the file");
    let holes = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    for from in [128 << 10, 4096, 0] {
        fallocate(&file, holes, from, (16 << 20) - from).expect("punched");
        (0..2_000_u32).for_each(|key| _ = held.check(&key.to_ne_bytes(), 1));
        let _ = (limiter(&arena, "users", 1_000), arena.objects(), arena.members());
    }
    refused(Arena::inspect(&place.options("orders")), ArenaErrorKind::Foreign, &["is no arena"]);
}

#[test]
fn the_default_has_room_for_fifty_default_limiters() {
    let place = Place::new();
    let arena = Arena::open(&HostConfig { capacity: None, ..place.options("orders") }).expect("made");
    for number in 0..50 {
        limiter(
            &arena,
            &format!("limiter-{number}"),
            LimiterConfig::new(Algorithm::TokenBucket, "1/s".parse().expect("a quota")).max_keys,
        )
        .expect("room");
    }
}

/// The kernel ends who makes a file larger than it may (SIGXFSZ).
#[test]
fn a_limit_of_file_sizes_is_told_as_what_it_is() {
    let place = Place::new();
    let mut options = place.options("orders");
    let (mut other, limited) = (Other::start(&options, None), 8 << 20);
    assert_eq!(other.ask(&format!("fsize {limited}")), "done");
    let said = other.ask("open");
    assert!(said.starts_with("no_space: ") && said.contains("8388608 bytes") && said.contains("ulimit -f"), "{said}");
    options.capacity = None;
    let mut other = Other::start(&options, None);
    assert_eq!(other.ask(&format!("fsize {limited}")), "done");
    assert!(other.ask("open").starts_with("opened"), "a default fits itself");
    assert_eq!(Arena::open(&options).expect("found").capacity(), limited);
}

#[test]
fn more_arenas_than_a_process_can_have_are_told_so() {
    let place = Place::new();
    let said = Other::start(&place.options("orders"), None).ask("open many");
    assert!(
        said.starts_with("64 full: ") && said.contains("64 arenas open") && said.contains("fewer arenas"),
        "{said}"
    );
}
