//! Whose the directory and the file are.

use crate::child::Other;
use crate::support::{Place, is_root, named, refused};
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::PathBuf;
use tidegate::Arena;
use tidegate::arena::{ArenaErrorKind, HostConfig};

const SOMEBODY: u32 = 65_534;
const GROUP: u32 = 54_321;

fn set_mode(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("its owner");
}

#[test]
fn a_linked_file_is_not_followed() {
    let (place, elsewhere) = (Place::new(), Place::new());
    let (file, target) = (place.make("orders"), elsewhere.make("orders"));
    std::fs::remove_file(&file).expect("removed");
    symlink(&target, &file).expect("linked");
    refused(place.open("orders"), ArenaErrorKind::Permission, &["orders.vN.arena is a link"]);
    assert!(Arena::unlink(&place.options("orders")).expect("removed").is_some());
    assert!(target.exists(), "the link was removed, not what it led to");
}

#[test]
fn a_linked_directory_is_not_followed() {
    let place = Place::new();
    place.make("orders");
    let link = Place::new();
    symlink(place.path(), link.path()).expect("linked");
    refused(link.open("orders"), ArenaErrorKind::Permission, &["is a link or no directory"]);
    let mut options = HostConfig::new("orders");
    options.path = Some(PathBuf::from(format!("{}/", link.path().display())));
    refused(Arena::open(&options), ArenaErrorKind::Permission, &["is a link or no directory"]);
    std::fs::remove_file(link.path()).expect("removed");
    std::fs::write(link.path(), "a file").expect("written");
    refused(link.open("orders"), ArenaErrorKind::Permission, &["is a link or no directory"]);
    std::fs::remove_file(link.path()).expect("removed");
}

#[test]
fn only_a_regular_file_is_opened() {
    let place = Place::new();
    std::fs::remove_file(place.make("orders")).expect("removed");
    std::fs::create_dir(place.file("orders")).expect("a directory");
    refused(place.open("orders"), ArenaErrorKind::System, &["orders.vN.arena"]);
    std::fs::remove_dir(place.file("orders")).expect("removed");
    let mkfifo = std::process::Command::new("mkfifo").arg("-m600").arg(place.file("orders")).status();
    assert!(mkfifo.is_ok_and(|status| status.success()));
    refused(place.open("orders"), ArenaErrorKind::Permission, &["is not a regular file"]);
}

#[test]
fn a_missing_parent_is_named() {
    let place = Place::new();
    let mut options = place.options("orders");
    options.path = Some(place.path().join("arenas"));
    let parent = place.path().display().to_string();
    refused(Arena::open(&options), ArenaErrorKind::Filesystem, &[&parent, "is not there", "TIDEGATE_DIR"]);
}

#[test]
fn what_others_may_write_or_read_is_refused() {
    let place = Place::new();
    let file = place.make("orders");
    set_mode(place.path(), 0o707);
    refused(place.open("orders"), ArenaErrorKind::Permission, &["may be written by everybody", "chmod o-w"]);
    set_mode(place.path(), 0o770);
    refused(place.open("orders"), ArenaErrorKind::Permission, &["may be written by the group", "chmod g-w"]);
    set_mode(place.path(), 0o755);
    assert!(place.open("orders").is_ok(), "others may look at the directory");
    for mode in [0o660, 0o604, 0o640, 0o602] {
        set_mode(&file, mode);
        let shown = format!("has the mode {mode:o}, an arena of one user has 600");
        refused(place.open("orders"), ArenaErrorKind::Permission, &["orders.vN.arena", &shown]);
    }
}

#[test]
fn another_users_directory_and_file_are_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let file = place.make("orders");
    chown(&file, Some(SOMEBODY), None).expect("root");
    refused(place.open("orders"), ArenaErrorKind::Permission, &["belongs to the user 65534", "runs as 0"]);
    chown(&file, Some(0), None).expect("root");
    chown(place.path(), Some(SOMEBODY), None).expect("root");
    refused(
        place.open("orders"),
        ArenaErrorKind::Permission,
        &["belongs to the user 65534", "runs as 0", "TIDEGATE_DIR"],
    );

    // The other way round: one who is not root, before root's directory, open or not.
    chown(place.path(), Some(0), None).expect("root");
    for mode in [0o700, 0o755] {
        set_mode(place.path(), mode);
        let (_, said) = Other::open(&place.options("orders"), Some((SOMEBODY, SOMEBODY)));
        assert!(said.starts_with("permission: "), "{said}");
    }
}

#[test]
fn a_file_that_may_not_be_written_is_an_error() {
    let place = Place::new();
    let file = place.make("orders");
    set_mode(&file, 0o400);
    let user = nix::unistd::geteuid().is_root().then_some((SOMEBODY, SOMEBODY));
    if user.is_some() {
        // Root may write to any file: another tries.
        chown(place.path(), Some(SOMEBODY), Some(SOMEBODY)).expect("root");
        chown(&file, Some(SOMEBODY), Some(SOMEBODY)).expect("root");
    }
    let (_, said) = Other::open(&place.options("orders"), user);
    assert!(said.starts_with("permission: cannot open for reading and writing"), "{said}");
    assert!(said.contains(&named("orders.vN.arena: Permission denied")), "{said}");
}

#[test]
fn a_group_shares_an_arena_between_users() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    std::fs::create_dir(place.path()).expect("made");
    chown(place.path(), None, Some(GROUP)).expect("root");
    set_mode(place.path(), 0o2770);
    let mut options = place.options("orders");
    options.group = Some(GROUP.to_string());

    let (mut first, made) = Other::open(&options, Some((1_001, GROUP)));
    let (mut second, found) = Other::open(&options, Some((1_002, GROUP)));
    assert!(made.starts_with("opened") && made == found, "{made}; {found}");
    let file = std::fs::metadata(place.file("orders")).expect("a file");
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777), (1_001, GROUP, 0o660));
    assert_eq!(
        [first.ask("take"), second.ask("take"), first.ask("take"), second.ask("take")],
        ["true", "true", "false", "false"]
    );

    let (_, said) = Other::open(&options, Some((1_003, 1_003)));
    assert!(said.starts_with("permission: "), "a stranger: {said}");
    // Of the group, but it does not say so.
    let (_, said) = Other::open(&place.options("orders"), Some((1_001, GROUP)));
    assert!(said.starts_with("permission: ") && said.contains("choose a directory of your own"), "{said}");
    chown(place.path(), Some(1_001), Some(GROUP)).expect("root");
    let (_, said) = Other::open(&place.options("orders"), Some((1_001, GROUP)));
    assert!(said.contains("may be written by the group 54321") && said.contains("group=54321"), "{said}");
}

/// The default directory is a user's own: others would look in theirs.
#[test]
fn a_group_needs_a_directory_that_all_name() {
    if std::env::var_os("TIDEGATE_DIR").is_some() {
        eprintln!("skipped: TIDEGATE_DIR is set, and names one");
        return;
    }
    let mut options = HostConfig::new("orders");
    options.group = Some(GROUP.to_string());
    refused(
        Arena::open(&options),
        ArenaErrorKind::Argument,
        &["group: \"54321\"", "one user's", "TIDEGATE_DIR or path"],
    );
}

#[test]
fn a_group_makes_its_directory_where_there_is_none() {
    let place = Place::new();
    let own = nix::unistd::getegid();
    let mut options = place.options("orders");
    options.group = Some(own.to_string());
    let _arena = Arena::open(&options).expect("made");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").mode() & 0o7777;
    assert_eq!((mode(place.path()), mode(&place.file("orders"))), (0o2770, 0o660));
    // The same by name, where it has one.
    if let Some(group) = nix::unistd::Group::from_gid(own).expect("asked") {
        options.group = Some(group.name);
        Arena::open(&options).expect("found");
    }
    options.group = Some("no-such-group".to_owned());
    refused(Arena::open(&options), ArenaErrorKind::Argument, &["group: \"no-such-group\"", "knows no such group"]);
}

/// The first start of a service as several users, with umasks that take rights away, or all.
#[test]
fn users_of_a_group_that_start_at_one_instant_find_what_they_may_use() {
    if !is_root() {
        return;
    }
    let parent = Place::new();
    std::fs::create_dir(parent.path()).expect("made");
    set_mode(parent.path(), 0o1777);
    for round in 0..6 {
        let mut options = HostConfig::new("orders");
        options.path = Some(parent.path().join(format!("{round}")));
        options.group = Some(GROUP.to_string());
        let mut openers: Vec<_> = (0..8).map(|user| Other::start(&options, Some((1_001 + user, GROUP)))).collect();
        for (opener, umask) in openers.iter_mut().zip(["077", "177", "777", "000"].into_iter().cycle()) {
            assert_eq!(opener.ask(&format!("umask {umask}")), "done");
        }
        openers.iter_mut().for_each(|opener| opener.tell("open"));
        let said: Vec<_> = openers.iter_mut().map(Other::hear).collect();
        assert!(said[0].starts_with("opened") && said.iter().all(|one| *one == said[0]), "{said:#?}");
        let left = std::fs::read_dir(parent.path()).expect("there").count();
        assert_eq!(left, round + 1, "nothing but the directories");
    }
}
