//! Filesystems without room.

use crate::support::{Place, refused};
use tidegate::Arena;
use tidegate::arena::ArenaErrorKind;

#[test]
fn a_full_filesystem_is_an_error_and_keeps_nothing() {
    let Some(place) = Place::of_size(4 << 20) else { return };
    let parts = ["no room for", "16777216 bytes", "4194304 are free", "--shm-size", "smaller capacity", "TIDEGATE_DIR"];
    refused(place.open("orders"), ArenaErrorKind::NoSpace, &parts);
    assert_eq!(place.names(), Vec::<String>::new());
    let mut options = place.options("orders");
    options.capacity = Some(1 << 20);
    Arena::open(&options).expect("smaller fits");
}
