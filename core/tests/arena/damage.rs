//! Files that are no arenas, or not of this kind.

use crate::child::Other;
use crate::support::{BOOT_AT, CHECKSUM_AT, Place, VERSION_AT, bucket, named, poke, poke_header, refused};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use tidegate::Arena;
use tidegate::arena::{ArenaErrorKind, LAYOUT_VERSION};

fn put(file: &Path, content: &[u8]) {
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file);
    opened.and_then(|mut file| file.write_all(content)).expect("written");
}

fn resize(file: &Path, bytes: u64) {
    File::options().write(true).open(file).and_then(|file| file.set_len(bytes)).expect("resized");
}

#[test]
fn short_grown_shrunk_and_other_files_are_refused_and_left_alone() {
    let place = Place::new();
    let file = place.make("orders");
    let whole = std::fs::read(&file).expect("a file");
    let mend = "tidegate rm orders";

    put(&file, b"");
    refused(place.open("orders"), ArenaErrorKind::Foreign, &["orders.vN.arena is no arena: it has 0 bytes", mend]);
    put(&file, &whole[..4096]);
    refused(place.open("orders"), ArenaErrorKind::Foreign, &["is no arena: it has 4096 bytes", mend]);
    put(&file, &whole);
    resize(&file, (16 << 20) + 4096);
    refused(place.open("orders"), ArenaErrorKind::Foreign, &["has 16781312 bytes and was made with 16777216", mend]);
    resize(&file, 8 << 20);
    refused(place.open("orders"), ArenaErrorKind::Foreign, &["has 8388608 bytes and was made with 16777216", mend]);
    put(&file, &vec![b'x'; 1 << 20]);
    refused(place.open("orders"), ArenaErrorKind::Foreign, &["is no arena: it does not begin as one", mend]);
    put(&file, &vec![0; 1 << 20]);
    refused(place.open("orders"), ArenaErrorKind::Foreign, &["is no arena: it does not begin as one", mend]);
    assert_eq!(std::fs::read(&file).expect("still there"), vec![0; 1 << 20]);

    put(&file, &whole);
    assert!(place.open("orders").is_ok());
}

#[test]
fn a_header_that_does_not_match_its_checksum_is_refused() {
    let place = Place::new();
    let mut options = place.options("orders");
    options.capacity = Some(1 << 20);
    drop(Arena::open(&options).expect("made"));
    let file = place.file("orders");
    let whole = std::fs::read(&file).expect("a file");
    let mut flipped = whole.clone();
    for byte in 16..CHECKSUM_AT as usize {
        flipped[byte] ^= 0x10;
        put(&file, &flipped);
        refused(place.open("orders"), ArenaErrorKind::Foreign, &["its header does not match its checksum"]);
        flipped[byte] ^= 0x10;
    }
    let mut swapped = whole;
    swapped[..8].reverse();
    put(&file, &swapped);
    refused(place.open("orders"), ArenaErrorKind::Foreign, &["of another byte order"]);
}

#[test]
fn an_unfamiliar_layout_version_in_the_header_is_an_error_of_its_own() {
    let place = Place::new();
    let file = place.make("orders");
    let unfamiliar = LAYOUT_VERSION + 1;
    poke_header(&file, VERSION_AT, unfamiliar);
    let (own, other) = (format!("version {LAYOUT_VERSION}"), format!("layout version {unfamiliar}"));
    let parts = ["orders.vN.arena", &other, &own, "tidegate rm orders"];
    refused(place.open("orders"), ArenaErrorKind::Version, &parts);
}

#[test]
fn a_file_of_another_boot_is_replaced_and_never_reinterpreted() {
    let place = Place::new();
    let arena = place.open("orders").expect("made");
    drop(bucket(&arena, "everyone").expect("made"));
    drop(arena);
    let file = place.file("orders");
    let old = File::open(&file).expect("a file");
    poke_header(&file, BOOT_AT, 7);
    refused(Arena::inspect(&place.options("orders")), ArenaErrorKind::Removed, &["of this boot"]);
    let new = place.open("orders").expect("replaced");
    assert_ne!(old.metadata().expect("open").ino(), file.metadata().expect("there").ino());
    assert_eq!(old.metadata().expect("open").nlink(), 0);
    assert_eq!(new.objects(), []);
    assert_eq!(place.names(), ["orders.vN.arena"]);
}

#[test]
fn another_layout_version_beside_it_is_said_while_it_is_in_use() {
    let place = Place::new();
    let (other, said) = Other::open(&place.options("orders"), None);
    assert!(said.starts_with("opened"), "{said}");
    let older = place.path().join("orders.v0.arena");
    std::fs::rename(place.file("orders"), &older).expect("renamed");

    let arena = place.open("orders").expect("a new one");
    let notices = arena.notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    for part in ["\"orders\"", "layout version 0", "orders.v0.arena", "orders.vN.arena"] {
        assert!(notices[0].contains(&named(part)), "{part} is not in {notices:?}");
    }
    assert_eq!(place.open("billing").expect("another").notices(), Vec::<String>::new());
    other.kill();
    assert_eq!(arena.notices(), Vec::<String>::new(), "nobody uses it any more");
    assert!(older.exists());
}

#[test]
fn a_file_resized_while_in_use_takes_no_new_names() {
    let place = Place::new();
    let arena = place.open("orders").expect("made");
    resize(&place.file("orders"), (16 << 20) + 4096);
    refused(bucket(&arena, "everyone"), ArenaErrorKind::Foreign, &["was resized from 16777216 to 16781312 bytes"]);
    poke(&place.file("orders"), 0, 0);
}

#[test]
fn unlinked_while_in_use_goes_on_alone_and_says_so() {
    let place = Place::new();
    let arena = place.open("orders").expect("made");
    let held = bucket(&arena, "everyone").expect("made");
    std::fs::remove_file(place.file("orders")).expect("removed");
    let parts = ["orders.vN.arena was removed or replaced", "restart"];
    refused(bucket(&arena, "another"), ArenaErrorKind::Removed, &parts);
    refused(bucket(&arena, "everyone"), ArenaErrorKind::Removed, &parts);
    assert!(held.try_acquire(2) && !held.try_acquire(1), "who holds it goes on");

    let fresh = place.open("orders").expect("a new one");
    assert!(bucket(&fresh, "everyone").expect("made").try_acquire(2));
    refused(bucket(&arena, "everyone"), ArenaErrorKind::Removed, &parts);
}
