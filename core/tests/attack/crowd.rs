//! Invariant: who finds no place in an arena is told so and changes nothing, and the place of who has gone can be had
//! again.

use crate::child::Other;
use crate::support::{Place, bucket, refused};
use tidegate::arena::ArenaErrorKind;

const PROCESSES: usize = 256;
const NAMES: usize = 128;

#[test]
fn of_260_processes_four_are_refused_and_join_when_others_have_ended() {
    let place = Place::new();
    drop(place.open("orders").expect("made"));
    let mut inside: Vec<Other> = Vec::new();
    let mut refused = 0;
    for _ in 0..PROCESSES + 4 {
        let (other, said) = Other::open(&place.options("orders"), None);
        if said.starts_with("opened") {
            inside.push(other);
        } else {
            assert!(said.starts_with("full: 256 processes have the arena \"orders\" open"), "{said}");
            refused += 1;
        }
    }
    assert_eq!((inside.len(), refused), (PROCESSES, 4));
    inside.drain(..4).for_each(Other::kill);
    for _ in 0..4 {
        let (other, said) = Other::open(&place.options("orders"), None);
        assert!(said.starts_with("opened"), "{said}");
        inside.push(other);
    }
}

#[test]
fn the_129th_name_is_refused_and_the_others_work() {
    let place = Place::new();
    let arena = place.open("orders").expect("made");
    let made: Vec<_> = (0..NAMES).map(|name| bucket(&arena, &format!("b{name}")).expect("room")).collect();
    for name in ["b128", "b129"] {
        refused(bucket(&arena, name), ArenaErrorKind::Full, &["has given out its 128 names", "use another arena"]);
    }
    assert!(made.iter().all(|bucket| bucket.try_acquire(2) && !bucket.try_acquire(1)));
    assert!(!bucket(&arena, "b127").expect("found").try_acquire(1), "the same");
}
