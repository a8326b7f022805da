//! Invariant: whatever the names of an arena's file and directory come to stand for while it is opened, each opening
//! ends, in an arena or an error; nothing that a link leads to is written; and what could be opened works.

use crate::support::{Place, bucket};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use tidegate::Arena;
use tidegate::arena::{ArenaErrorKind, HostConfig};

/// Far longer than an opening takes.
const PATIENCE: Duration = Duration::from_secs(20);
const ROUNDS: usize = 400;

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg("-m600").arg(path).status().is_ok_and(|status| status.success()));
}

/// Opens and looks, again and again, in a thread of its own, while `disturb` does its worst; each time ends in time.
fn opened_while(options: &HostConfig, disturb: impl Fn(usize) + Sync) {
    let (done, ended) = mpsc::channel();
    let stop = AtomicBool::new(false);
    let mine = options.clone();
    let opener = std::thread::spawn(move || {
        for _ in 0..ROUNDS {
            let opened = Arena::open(&mine).and_then(|arena| bucket(&arena, "everyone").map(drop));
            let seen = Arena::inspect(&mine).map(|arena| drop(arena.objects()));
            let listed = Arena::list(mine.path.as_deref()).map(drop);
            done.send([opened, seen, listed]).expect("the test waits");
        }
    });
    let mut fine = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Relaxed: only to end.
            let rounds = (0..).take_while(|_| !stop.load(Ordering::Relaxed));
            rounds.for_each(&disturb);
        });
        for _ in 0..ROUNDS {
            let answers = ended.recv_timeout(PATIENCE);
            if answers.is_err() {
                // Relaxed: as above.
                stop.store(true, Ordering::Relaxed);
            }
            for answer in answers.expect("an opening does not end, or panicked") {
                match answer {
                    Ok(()) => fine += 1,
                    Err(error) => {
                        use ArenaErrorKind::{Filesystem, Foreign, Permission, Removed, System};
                        let known = [Filesystem, Foreign, Permission, Removed, System];
                        assert!(known.contains(&error.kind()), "{:?}: {error}", error.kind());
                    }
                }
            }
        }
        // Relaxed: as above.
        stop.store(true, Ordering::Relaxed);
    });
    opener.join().expect("no panic");
    assert!(fine > 0, "nothing could be opened, so nothing was tried");
}

/// Two names change places in one step.
fn exchange(one: &Path, two: &Path) {
    renameat2(AT_FDCWD, one, AT_FDCWD, two, RenameFlags::RENAME_EXCHANGE).expect("both are there");
}

/// Puts what the round says in the place of `path`, and takes it away again. `beside`: a place of its own on the same
/// filesystem.
fn replace(path: &Path, beside: &Path, round: usize, impostors: &[&dyn Fn(&Path)]) {
    let Some(impostor) = impostors.get(round % (impostors.len() + 1)) else {
        // Not there for a moment: somebody may make another.
        fs::rename(path, beside).expect("it is there");
        std::thread::yield_now();
        while fs::rename(beside, path).is_err() {
            let _ = fs::remove_dir_all(path);
        }
        return;
    };
    impostor(beside);
    exchange(path, beside);
    std::thread::yield_now();
    exchange(path, beside);
    let gone =
        if beside.is_dir() && !beside.is_symlink() { fs::remove_dir_all(beside) } else { fs::remove_file(beside) };
    gone.expect("removed");
}

#[test]
fn a_file_that_is_replaced_while_it_is_opened() {
    let (place, elsewhere) = (Place::new(), Place::new());
    let (file, target) = (place.make("orders"), elsewhere.make("orders"));
    let before = fs::read(&target).expect("a file");
    let beside = place.path().join("beside");
    opened_while(&place.options("orders"), |round| {
        replace(
            &file,
            &beside,
            round,
            &[
                &|path| symlink(&target, path).expect("linked"),
                // In its place it is a link to itself.
                &|path| symlink(&file, path).expect("linked"),
                &|path| fifo(path),
                &|path| fs::create_dir(path).expect("made"),
                &|path| fs::write(path, "no arena").expect("written"),
            ],
        );
    });
    assert!(fs::read(&target).expect("a file") == before, "the link was followed");
    assert!(bucket(&place.open("orders").expect("there"), "everyone").is_ok());
    assert_eq!(place.names(), ["orders.vN.arena"]);
}

#[test]
fn a_directory_that_is_replaced_while_it_is_opened() {
    let (place, elsewhere) = (Place::new(), Place::new());
    place.make("orders");
    let target = elsewhere.make("orders");
    let before = fs::read(&target).expect("a file");
    let beside = PathBuf::from(format!("{}-beside", place.path().display()));
    opened_while(&place.options("orders"), |round| {
        replace(
            place.path(),
            &beside,
            round,
            &[
                &|path| symlink(elsewhere.path(), path).expect("linked"),
                &|path| symlink(place.path(), path).expect("linked"),
                &|path| DirBuilder::new().mode(0o700).create(path).expect("made"),
                &|path| fs::write(path, "no directory").expect("written"),
            ],
        );
    });
    assert!(fs::read(&target).expect("a file") == before, "the link was followed");
    assert!(bucket(&place.open("orders").expect("there"), "everyone").is_ok());
    assert_eq!(place.names(), ["orders.vN.arena"]);
    let own = place.path().file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
    let names = fs::read_dir("/dev/shm").expect("shared memory");
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let left: Vec<_> = names.filter(|name| name.starts_with(&format!(".{own}."))).collect();
    assert_eq!(left, Vec::<String>::new(), "half made directories");
}

/// A name that became a pipe: to open one for reading waits for a writer, unless told not to.
#[test]
fn a_pipe_in_the_file_s_place_keeps_nobody_waiting() {
    let place = Place::new();
    let file = place.make("orders");
    fs::remove_file(&file).expect("removed");
    fifo(&file);
    let (done, ended) = mpsc::channel();
    let options = place.options("orders");
    std::thread::spawn(move || {
        let kind = |error: tidegate::arena::ArenaError| error.kind();
        let answers = [
            Arena::open(&options).map(drop).map_err(kind),
            Arena::inspect(&options).map(drop).map_err(kind),
            Arena::list(options.path.as_deref()).map(drop).map_err(kind),
        ];
        done.send(answers).expect("the test waits");
    });
    let answers = ended.recv_timeout(PATIENCE).expect("it waits for a writer");
    assert_eq!(answers, [Err(ArenaErrorKind::Permission), Err(ArenaErrorKind::Permission), Ok(())]);
    assert_eq!(place.names(), ["orders.vN.arena"]);
}
