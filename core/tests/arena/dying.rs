//! kill -9 of who makes an arena.

use crate::child::Other;
use crate::support::Place;
use std::time::Duration;
use tidegate::Arena;

/// What a maker leaves that is killed before it published.
const LEFT: &str = ".orders.arena.new";

#[test]
fn a_maker_killed_anywhere_leaves_nothing_half_made_published() {
    let place = Place::new();
    let mut options = place.options("orders");
    // Large enough for most of the maker's time to go into reserving and clearing.
    options.capacity = Some(64 << 20);
    let (mut left, mut published) = (0, 0);
    for round in 0..60 {
        let mut maker = Other::start(&options, None);
        maker.tell("make and remove");
        std::thread::sleep(Duration::from_micros(fastrand::u64(0..30_000)));
        maker.kill();
        if place.path().exists() {
            left += usize::from(place.names().contains(&LEFT.to_owned()));
            published += usize::from(place.file("orders").exists());
        }
        let arena = Arena::open(&options).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(place.names(), ["orders.vN.arena"], "round {round}");
        assert_eq!(arena.objects(), []);
        drop(arena);
        Arena::unlink(&options).expect("removed").expect("it was there");
    }
    assert!(left > 0, "no maker was caught in the middle; {published} published");
}
