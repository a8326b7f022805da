//! Two descriptions of one file are two processes as far as the kernel's locks go.

use super::*;
use crate::arena::layout::OBJECTS_AT;
use std::fs::File;
use std::os::fd::AsRawFd;

/// A file without a name.
fn file() -> File {
    let file = nix::sys::memfd::memfd_create(c"members", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).unwrap();
    let file = File::from(file);
    file.set_len(OBJECTS_AT as u64).unwrap();
    file
}

/// A process that opens it.
fn process(file: &File) -> Members {
    let mapping = Arc::new(Mapping::shared(file, OBJECTS_AT).unwrap());
    let own = File::options().read(true).write(true).open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
    Members::of_file(&mapping, own.into()).unwrap()
}

/// As a kill: the kernel gives up its locks, and nobody says anything.
fn kill(process: Members) {
    let member = process.registered().unwrap();
    process.file.as_ref().unwrap().unlock(SLOT_LOCKS + u64::from(member.slot)).unwrap();
    // Relaxed: one thread. As if it had never registered, so that its drop gives nothing back.
    process.own.store(0, Ordering::Relaxed);
}

fn deaths(process: &Members) -> u64 {
    // Relaxed: one thread.
    process.mapping.value::<Header>(HEADER_AT).unwrap().deaths.load(Ordering::Relaxed)
}

const NEVER: u64 = 0;
const LATER: u64 = REAP_EVERY_NS;

#[test]
fn each_process_has_a_slot_and_leaves_it() {
    let file = file();
    let [one, two] = [process(&file), process(&file)];
    assert_eq!(one.registered(), None);
    let (first, second) = (one.member().unwrap(), two.member().unwrap());
    assert_eq!((first, second), (Member { slot: 0, incarnation: 1 }, Member { slot: 1, incarnation: 1 }));
    assert_eq!((one.member().unwrap(), one.registered()), (first, Some(first)));
    assert!(one.is_current(second) && two.is_current(first));
    assert!(one.survey().iter().all(|info| info.alive && info.pid == std::process::id()));
    drop(two);
    assert!(!one.is_current(second));
    assert_eq!((one.survey().len(), deaths(&one)), (1, 0));
    let third = process(&file).member().unwrap();
    assert_eq!(third, Member { slot: 1, incarnation: 2 });
}

#[test]
fn the_dead_are_found_once_in_ten_milliseconds() {
    let file = file();
    let [one, two] = [process(&file), process(&file)];
    one.member().unwrap();
    let dead = two.member().unwrap();
    let before = one.reap(NEVER);
    kill(two);
    assert!(one.is_current(dead) && one.survey().iter().any(|info| !info.alive));
    assert_eq!(one.reap(LATER - 1), before);
    assert!(one.is_current(dead));
    let after = one.reap(LATER);
    assert_ne!(after, before);
    assert!(!one.is_current(dead));
    assert_eq!((one.reap(2 * LATER), deaths(&one)), (after, 1));
    // Another process learns of it although it reaped nothing itself.
    let late = process(&file);
    assert_eq!(late.reap(NEVER), after);
    // A clock that stepped back does not put it off.
    let third = process(&file);
    third.member().unwrap();
    assert_ne!(one.reap(NEVER), after);
}

#[test]
fn who_moves_in_before_the_reaper_tells_of_the_death() {
    let file = file();
    let [one, two] = [process(&file), process(&file)];
    let (_, dead) = (one.member().unwrap(), two.member().unwrap());
    let before = one.reap(NEVER);
    kill(two);
    // All slots say that they are used, as after a crash of 255 processes.
    for slot in &one.slots()[2..] {
        // Relaxed: one thread.
        slot.state.store(USED | 7, Ordering::Relaxed);
    }
    let heir = process(&file);
    assert_eq!(heir.member().unwrap(), Member { slot: dead.slot, incarnation: dead.incarnation + 1 });
    assert!(!one.is_current(dead));
    assert_eq!(deaths(&one), 1);
    assert_ne!(one.reap(LATER), before);
    assert_eq!((one.survey().len(), deaths(&one)), (2, 1 + PROCESSES as u64 - 2));
}

#[test]
fn killed_while_registering_leaves_a_slot_to_others() {
    let file = file();
    let [one, two] = [process(&file), process(&file)];
    // After the lock, before the slot says so.
    assert!(two.file.as_ref().unwrap().try_lock(SLOT_LOCKS).unwrap());
    assert_eq!(one.member().unwrap().slot, 1);
    drop(two);
    assert_eq!(process(&file).member().unwrap(), Member { slot: 0, incarnation: 1 });
    // After both, before the process knows it.
    let three = process(&file);
    let own = three.move_in(5);
    assert!(one.is_current(own));
    one.reap(LATER);
    assert!(!one.is_current(own));
}

#[test]
fn with_256_processes_it_is_full() {
    let file = file();
    let holder = process(&file);
    for slot in 0..PROCESSES as u64 {
        assert!(holder.file.as_ref().unwrap().try_lock(SLOT_LOCKS + slot).unwrap());
    }
    let late = process(&file);
    assert!(matches!(late.member(), Err(NoSlot::Full)));
    holder.file.as_ref().unwrap().unlock(SLOT_LOCKS + 200).unwrap();
    assert_eq!(late.member().unwrap().slot, 200);
}

#[test]
fn threads_register_their_process_once() {
    let file = file();
    let one = process(&file);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| one.member().unwrap())).collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap() == Member { slot: 0, incarnation: 1 }));
    });
    assert_eq!(one.survey().len(), 1);
}

#[test]
fn incarnations_wrap_past_zero_and_foreign_bytes_are_nobodys() {
    let file = file();
    let one = process(&file);
    for slot in one.slots() {
        // Relaxed: one thread.
        slot.state.store(u64::MAX, Ordering::Relaxed);
    }
    assert_eq!(one.member().unwrap(), Member { slot: 0, incarnation: 1 });
    assert!(!one.is_current(Member { slot: 999, incarnation: 1 }));
    one.reap(LATER);
    assert_eq!(one.survey().len(), 1);
}

#[test]
fn memory_of_one_process_has_one_member_that_never_dies() {
    let mapping = Arc::new(Mapping::private(OBJECTS_AT).unwrap());
    let members = Members::of_process(&mapping);
    let own = members.member().unwrap();
    assert_eq!((own, members.registered()), (Member { slot: 0, incarnation: 1 }, Some(own)));
    assert_eq!(members.reap(NEVER), members.reap(LATER));
    assert_eq!((members.incarnation(0), members.incarnation(1)), (Some(1), None));
    assert!(members.is_current(own) && members.survey()[0].alive);
}

/// Its own lock does not show to it.
#[test]
fn a_process_does_not_take_itself_for_dead_while_it_registers() {
    let file = file();
    // So that a look takes its time.
    let others: Vec<_> = (0..12).map(|_| process(&file)).collect();
    for other in &others {
        other.member().unwrap();
    }
    for round in 0..50 {
        let one = process(&file);
        let (registered, start) = (AtomicU64::new(0), std::sync::Barrier::new(3));
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let (one, registered, start) = (&one, &registered, &start);
                scope.spawn(move || {
                    start.wait();
                    let mut now = thread;
                    // Relaxed: no more than when to end.
                    while registered.load(Ordering::Relaxed) == 0 {
                        now += LATER;
                        one.reap(now);
                        one.survey().iter().for_each(|info| assert!(info.alive, "in round {round}"));
                    }
                    one.reap(now + LATER);
                });
            }
            start.wait();
            one.member().unwrap();
            // Relaxed: as above.
            registered.store(1, Ordering::Relaxed);
        });
        assert!(one.is_current(one.registered().unwrap()), "in round {round}");
        assert_eq!(deaths(&one), 0, "in round {round}");
    }
}
