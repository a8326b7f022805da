use super::*;

#[test]
fn a_place_is_checked_without_an_arena() {
    let (private, host) = (Scope::Process, Scope::Host("never-made".into()));
    for name in [None, Some("a name"), Some("door")] {
        assert_eq!(private.check(name), Ok(()));
    }
    assert_eq!(host.check(Some("door")), Ok(()));
    for (name, says) in [(None, "needs a name"), (Some("a name"), "is not an object's name")] {
        let error = host.check(name).expect_err(says);
        assert!(error.kind() == ArenaErrorKind::Argument && error.message().contains(says), "{error}");
    }
}

#[test]
fn scopes_are_one_of_three() {
    assert_eq!(Scope::parse("process"), Ok(Scope::Process));
    assert_eq!(Scope::parse("process:a"), Ok(Scope::Shared("a".into())));
    assert_eq!(Scope::parse("host:orders-1"), Ok(Scope::Host("orders-1".into())));
    for wrong in ["", "host", "host:", "hosts:a", "host:.a", "host:a/b", "host:a b", "host:a:b", "cluster:a"] {
        let error = Scope::parse(wrong).expect_err(wrong);
        assert_eq!(error.kind(), ArenaErrorKind::Argument, "{error}");
    }
}

#[test]
fn arenas_of_a_process_are_found_by_name() {
    let one = Arena::process("found-by-name").expect("an arena");
    assert!(Arc::ptr_eq(&one, &Arena::process("found-by-name").expect("an arena")));
    assert!(!Arc::ptr_eq(&one, &Arena::process("another-name").expect("an arena")));
}

#[test]
fn an_arena_of_a_process_is_forgotten_with_its_last_handle() {
    let known = |name: &str| OF_PROCESS.lock().contains_key(name);
    let (one, two) = (Arena::process("forgotten").expect("an arena"), Arena::process("forgotten").expect("an arena"));
    drop(one);
    assert!(known("forgotten"));
    // Its name, and not the one that is known by it.
    drop(Arena::private("forgotten", DEFAULT_CAPACITY, Clock::monotonic()).expect("an arena"));
    assert!(known("forgotten") && Arc::ptr_eq(&two, &Arena::process("forgotten").expect("an arena")));
    drop(two);
    assert!(!known("forgotten"));
    drop(Arena::process("forgotten").expect("made anew"));
    assert!(!known("forgotten"));
}

#[test]
fn an_arena_of_a_process_has_the_bytes_that_were_asked_for() {
    let one = Arena::process_with_capacity("sized", 1 << 20).expect("an arena");
    assert_eq!(one.capacity(), 1 << 20);
    for again in [Arena::process("sized"), Arena::process_with_capacity("sized", 1 << 20)] {
        assert!(Arc::ptr_eq(&one, &again.expect("the same")));
    }
    let error = Arena::process_with_capacity("sized", 2 << 20).expect_err("another capacity");
    assert_eq!(error.kind(), ArenaErrorKind::Argument);
    assert!(error.message().contains("made with 1048576 bytes, here 2097152"), "{error}");
    let error = Arena::process_with_capacity("too-small", 1000).expect_err("no capacity");
    assert!(error.message().contains("capacity: 1000 is not within"), "{error}");
    let (placed, name) = Scope::place_in_process("sized", Some(1 << 20), Some("door")).expect("a place");
    assert!(Arc::ptr_eq(&one, &placed) && name == "door");
    assert!(Scope::place_in_process("sized", None, None).is_err(), "without a name");
    drop((one, placed));
    assert_eq!(Arena::process_with_capacity("sized", 2 << 20).expect("made anew").capacity(), 2 << 20);
}

/// The number stands in the names of files that others may hold: it rises with what lies in them, never by accident.
#[test]
fn the_layout_has_its_number() {
    assert_eq!(LAYOUT_VERSION, 8);
}
