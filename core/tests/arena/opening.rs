//! What stands where after the first opening, and after the second.

use crate::support::Place;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;
use tidegate::Arena;
use tidegate::arena::ArenaErrorKind;

#[test]
fn the_first_makes_a_private_file_and_the_second_finds_it() {
    let place = Place::new();
    let arena = Arena::open(&place.options("orders")).expect("made");
    assert_eq!(place.names(), ["orders.v1.arena"]);
    let file = std::fs::metadata(place.file("orders")).expect("a file");
    assert_eq!(file.permissions().mode() & 0o7777, 0o600);
    assert_eq!(std::fs::metadata(place.path()).expect("a directory").permissions().mode() & 0o7777, 0o700);
    assert_eq!((file.len(), arena.capacity()), (16 << 20, 16 << 20));
    assert!(file.blocks() * 512 >= file.len(), "{} of {} bytes are reserved", file.blocks() * 512, file.len());

    let again = Arena::open(&place.options("orders")).expect("found");
    assert!(Arc::ptr_eq(&arena, &again));
    drop((arena, again));
    let inode = std::fs::metadata(place.file("orders")).expect("a file").ino();
    drop(Arena::open(&place.options("orders")).expect("found"));
    assert_eq!((inode, 1), (file.ino(), file.nlink()));
}

#[test]
fn another_capacity_than_the_file_has_is_an_error_that_names_both() {
    let place = Place::new();
    let mut options = place.options("orders");
    options.capacity = Some(1 << 20);
    drop(Arena::open(&options).expect("made"));
    drop(Arena::open(&options).expect("found"));
    drop(Arena::open(&place.options("orders")).expect("whatever it has"));
    options.capacity = Some(2 << 20);
    let error = Arena::open(&options).expect_err("another capacity");
    assert_eq!(error.kind(), ArenaErrorKind::Argument);
    for part in ["1048576", "2097152", "tidegate rm orders"] {
        assert!(error.message().contains(part), "{error}");
    }
}
