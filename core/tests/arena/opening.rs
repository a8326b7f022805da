//! What stands where after the first opening, and after the second.

use crate::child::Other;
use crate::support::{Place, bucket, named, refused};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;
use tidegate::Arena;
use tidegate::arena::{ArenaErrorKind, HostConfig, LAYOUT_VERSION};

#[test]
fn the_first_makes_a_private_file_and_the_second_finds_it() {
    let place = Place::new();
    let arena = place.open("orders").expect("made");
    assert_eq!(place.names(), ["orders.vN.arena"]);
    let file = std::fs::metadata(place.file("orders")).expect("a file");
    assert_eq!(file.permissions().mode() & 0o7777, 0o600);
    assert_eq!(std::fs::metadata(place.path()).expect("a directory").permissions().mode() & 0o7777, 0o700);
    assert_eq!((file.len(), arena.capacity()), (16 << 20, 16 << 20));
    let taken = || std::fs::metadata(place.file("orders")).expect("a file").blocks() * 512;
    assert!((128 << 10..1 << 20).contains(&taken()), "{} of {} bytes are taken", taken(), file.len());

    let again = place.open("orders").expect("found");
    assert!(Arc::ptr_eq(&arena, &again));
    drop((arena, again));
    drop(place.open("orders").expect("found"));
    assert_eq!(std::fs::metadata(place.file("orders")).expect("a file").ino(), file.ino());
}

#[test]
fn another_process_counts_in_the_same_bucket() {
    let place = Place::new();
    let arena = place.open("orders").expect("made");
    let (mut other, said) = Other::open(&place.options("orders"), None);
    assert!(said.starts_with("opened"), "{said}");
    let shared = bucket(&arena, "shared").expect("made");
    assert!(shared.try_acquire(1));
    assert_eq!(other.ask("take"), "true");
    assert_eq!(other.ask("take"), "false");
    assert!(!shared.try_acquire(1));
}

#[test]
fn another_capacity_than_the_file_has_is_an_error_that_names_both() {
    let place = Place::new();
    let mut options = place.options("orders");
    options.capacity = Some(1 << 20);
    let arena = Arena::open(&options).expect("made");
    drop(Arena::open(&options).expect("found"));
    let whatever = HostConfig { capacity: None, ..options.clone() };
    assert_eq!(Arena::open(&whatever).expect("whatever it has").capacity(), 1 << 20);
    options.capacity = Some(2 << 20);
    let parts = ["1048576", "2097152", "tidegate rm orders"];
    refused(Arena::open(&options), ArenaErrorKind::Argument, &parts);
    drop(arena);
    refused(Arena::open(&options), ArenaErrorKind::Argument, &parts);
    options.capacity = Some(1000);
    refused(Arena::open(&options), ArenaErrorKind::Argument, &["capacity: 1000 is not within"]);
}

#[test]
fn names_that_could_leave_the_directory_are_none() {
    let place = Place::new();
    for name in ["", ".", "..", "../orders", "a/b", "a:b", ".hidden", "-f", "a b", "a\0b"] {
        refused(place.open(name), ArenaErrorKind::Argument, &["is not an arena's name"]);
    }
    assert!(!place.path().exists());
}

#[test]
fn what_is_there_is_listed_looked_at_and_removed() {
    let place = Place::new();
    assert_eq!(Arena::list(Some(place.path())).expect("nothing"), []);
    refused(Arena::inspect(&place.options("orders")), ArenaErrorKind::Removed, &["there is no arena \"orders\""]);
    assert_eq!(Arena::unlink(&place.options("orders")).expect("nothing"), None);
    assert!(!place.path().exists(), "looking makes nothing");

    let arena = place.open("orders").expect("made");
    let _bucket = bucket(&arena, "everyone").expect("made");
    place.make("billing");
    std::fs::write(place.path().join("notes.txt"), "not an arena").expect("written");
    std::fs::write(place.path().join("orders.v0.arena"), "of an older layout").expect("written");
    let listed = Arena::list(Some(place.path())).expect("a list");
    let shown: Vec<_> = listed.iter().map(|file| (file.name.as_str(), file.version, file.bytes, file.in_use)).collect();
    assert_eq!(
        shown,
        [
            ("billing", LAYOUT_VERSION, 16 << 20, false),
            ("orders", 0, 18, false),
            ("orders", LAYOUT_VERSION, 16 << 20, true)
        ]
    );
    assert_eq!(listed[0].path, place.file("billing"));

    let seen = Arena::inspect(&place.options("orders")).expect("it is there");
    assert_eq!(seen.objects()[0].name, "everyone");
    drop(seen);
    let removed = Arena::unlink(&place.options("orders")).expect("removed").expect("it was there");
    assert!(removed.in_use && removed.path == place.file("orders"), "{removed:?}");
    assert_eq!(Arena::unlink(&place.options("orders")).expect("nothing"), None);
    // Whatever it is.
    std::fs::write(place.file("orders"), "garbage").expect("written");
    assert!(Arena::unlink(&place.options("orders")).expect("removed").is_some_and(|file| !file.in_use));
    assert_eq!(place.names(), ["billing.vN.arena", "notes.txt", "orders.v0.arena"]);
}

#[test]
fn the_directory_is_the_users_own_unless_the_environment_says_another() {
    let place = Place::new();
    let options = HostConfig::new(format!("test-{}", std::process::id()));
    let mut other = Other::start_with(&options, Some(place.path()));
    let said = other.ask("open");
    assert!(said.ends_with(&named(&format!(" {}/{}.vN.arena", place.path().display(), options.name))), "{said}");

    let mut other = Other::start_with(&options, None);
    let said = other.ask("open");
    let directory = format!("/dev/shm/tidegate-{}", nix::unistd::geteuid());
    assert!(said.ends_with(&named(&format!(" {directory}/{}.vN.arena", options.name))), "{said}");
    assert_eq!(std::fs::metadata(directory).expect("made").permissions().mode() & 0o7777, 0o700);
    assert_eq!(other.ask("remove"), "Ok(true)");
}
