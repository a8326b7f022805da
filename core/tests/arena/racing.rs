//! Many at once.

use crate::child::Other;
use crate::support::{BOOT_AT, Place, poke_header};
use tidegate::arena::HostConfig;

const OPENERS: usize = 20;
const CAPACITY: usize = 32 << 20;

/// Starts them all, lets them go at one instant, and asserts that all opened one file.
fn race(options: &HostConfig) {
    let mut openers: Vec<_> = (0..OPENERS).map(|_| Other::start(options, None)).collect();
    openers.iter_mut().for_each(|opener| opener.tell("open"));
    let said: Vec<_> = openers.iter_mut().map(Other::hear).collect();
    assert!(said[0].starts_with("opened") && said.iter().all(|one| *one == said[0]), "{said:#?}");
    let taken = openers.iter_mut().filter_map(|opener| (opener.ask("take") == "true").then_some(())).count();
    assert_eq!(taken, 2, "one bucket of two for all");
}

#[test]
fn twenty_openers_at_one_instant_end_in_one_arena() {
    let place = Place::new();
    for name in ["a", "b", "c"] {
        race(&place.options(name));
    }
    assert_eq!(place.names(), ["a.vN.arena", "b.vN.arena", "c.vN.arena"]);
}

#[test]
fn twenty_openers_replace_a_file_of_another_boot_once() {
    let place = Place::new();
    poke_header(&place.make("orders"), BOOT_AT, 7);
    race(&place.options("orders"));
    assert_eq!(place.names(), ["orders.vN.arena"]);
}

/// The filesystem has room for one file and a half.
#[test]
fn twenty_openers_need_the_space_of_one() {
    let Some(place) = Place::of_size(CAPACITY * 3 / 2) else { return };
    let mut options = place.options("orders");
    options.capacity = Some(CAPACITY);
    race(&options);
}

/// The threads of one process share one handle.
#[test]
fn threads_open_one_arena() {
    let place = Place::new();
    let arenas: Vec<_> = std::thread::scope(|scope| {
        let open = || scope.spawn(|| place.open("orders").expect("opened"));
        let threads: Vec<_> = (0..OPENERS).map(|_| open()).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(arenas.iter().all(|arena| std::sync::Arc::ptr_eq(arena, &arenas[0])));
}
