//! Processes with mounts and process ids of their own, as containers have.

use crate::child::Other;
use crate::support::{Place, bucket, refused};
use std::path::Path;
use std::time::{Duration, Instant};
use tidegate::Arena;
use tidegate::arena::ArenaErrorKind;

/// Shared memory of its own, as a container has, and in it what `-v place:/dev/shm/shared` mounts.
fn mounts(place: &Path) -> String {
    let outside = place.display();
    format!(
        "exec 3< {outside}\n\
         mount -t tmpfs -o size=64m,mode=1777 tidegate-test /dev/shm\n\
         mkdir /dev/shm/shared\n\
         mount --bind /proc/self/fd/3 /dev/shm/shared\n\
         exec 3<&-"
    )
}

#[test]
fn containers_with_a_directory_in_common_share_an_arena() {
    let place = Place::new();
    let outside = Arena::open(&place.options("orders")).expect("made");
    let mut inside = place.options("orders");
    inside.path = Some("/dev/shm/shared".into());
    let Some(mut one) = Other::contain(&inside, &mounts(place.path())) else { return };
    let Some(mut two) = Other::contain(&inside, &mounts(place.path())) else { return };
    let (first, second) = (one.ask("open"), two.ask("open"));
    assert!(first.starts_with("opened") && first == second, "{first}; {second}");
    assert_eq!(
        [one.ask("take"), two.ask("take"), one.ask("take"), two.ask("take")],
        ["true", "true", "false", "false"]
    );
    assert!(!bucket(&outside, "shared").expect("found").try_acquire(1), "and the host itself");

    // Their process ids are 1, or nearly; who lives is seen across.
    let used = || Arena::list(Some(place.path())).expect("a list")[0].in_use;
    drop(outside);
    assert!(used());
    one.kill();
    assert!(used());
    two.kill();
    // The container dies with what started it, a little later.
    let deadline = Instant::now() + Duration::from_secs(30);
    while used() {
        assert!(Instant::now() < deadline, "a dead container's lock is held");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn containers_without_one_have_an_arena_each_and_the_limit_multiplies() {
    let place = Place::new();
    std::fs::create_dir(place.path()).expect("made");
    let options = tidegate::arena::HostConfig::new("orders");
    let Some(mut one) = Other::contain(&options, &mounts(place.path())) else { return };
    let Some(mut two) = Other::contain(&options, &mounts(place.path())) else { return };
    assert!(one.ask("open").starts_with("opened") && two.ask("open").starts_with("opened"));
    let taken = [&mut one, &mut two].map(|container| (0..3).filter(|_| container.ask("take") == "true").count());
    assert_eq!(taken, [2, 2], "two each");
}

/// A pod's `emptyDir` belongs to root and is open to all in the pod: the directory within it is of its maker alone.
#[test]
fn a_directory_that_all_may_write_is_refused_and_one_within_it_is_not() {
    let place = Place::new();
    std::fs::create_dir(place.path()).expect("made");
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("its owner");
    let error = Arena::open(&place.options("orders")).expect_err("open to all");
    assert!(error.message().contains("choose a directory within it"), "{error}");
    let mut options = place.options("orders");
    options.path = Some(place.path().join("tidegate"));
    Arena::open(&options).expect("made within");
}

/// However little its clock differs: an arena's clock may come to be `CLOCK_MONOTONIC` at any moment.
#[test]
fn another_time_namespace_is_refused() {
    let place = Place::new();
    let arena = Arena::open(&place.options("orders")).expect("made");
    for seconds in [0, 1, 3600] {
        let Some(mut other) = Other::ahead(&place.options("orders"), seconds) else { return };
        let said = other.ask("open");
        assert!(said.starts_with("clock: ") && said.contains("time namespace"), "{seconds} s: {said}");
    }
    // Two in one namespace are right by each other.
    drop(arena);
    Arena::unlink(&place.options("orders")).expect("removed");
    let Some(mut other) = Other::ahead(&place.options("orders"), 3600) else { return };
    let said = other.ask("open");
    assert!(said.starts_with("opened"), "{said}");
    assert_eq!([other.ask("take"), other.ask("take"), other.ask("take")], ["true", "true", "false"]);
    refused(Arena::open(&place.options("orders")), ArenaErrorKind::Clock, &["time namespace", "tidegate rm orders"]);
}
