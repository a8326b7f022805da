//! Looking through a read-only mount, as a monitoring sidecar does.

use crate::support::Place;
use crate::worker::Worker;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// `tidegate --path PLACE WORDS` where PLACE is mounted read-only. `None`, and says why, where this process may not do
/// that.
fn mounted(place: &Place, words: &[&str]) -> Option<Command> {
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && exec \"$0\" \"$@\"";
    let command = |program: &str, words: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-euc", script, program]).arg(place.path()).args(words);
        command.env_remove("TIDEGATE_DIR");
        command
    };
    let possible = command("true", &[]).output();
    if !possible.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: needs the right to make namespaces and to mount: {possible:?}");
        return None;
    }
    let path = place.path().to_str().expect("a path");
    Some(command(env!("CARGO_BIN_EXE_tidegate"), &[&["--path", path], words].concat()))
}

/// Its exit code, output and complaints.
fn run(place: &Place, words: &[&str]) -> Option<(i32, String, String)> {
    let output = mounted(place, words)?.output().expect("it runs");
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    Some((output.status.code().expect("an end"), out, err))
}

#[test]
fn ls_and_show_tell_through_a_read_only_mount_what_is_there() {
    let place = Place::new();
    let mut worker = Worker::start(&place);
    ["take 3", "see users", "fail", "hold 2"].iter().for_each(|what| worker.tell(what));
    let before = std::fs::read(place.file("orders")).expect("its bytes");
    let Some((code, out, err)) = run(&place, &["--json", "ls"]) else { return };
    assert_eq!((code, err.as_str()), (0, ""));
    let listed: Value = serde_json::from_str(&out).expect("JSON");
    let arena = &listed["arenas"][0];
    assert_eq!(
        (&arena["state"], &arena["objects"], &arena["processes"]),
        (&"ok".into(), &4.into(), &1.into()),
        "{out}"
    );

    let (code, out, err) = run(&place, &["--json", "show", "orders"]).expect("as before");
    assert_eq!((code, err.as_str()), (0, ""));
    let picture: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(crate::object(&picture, "everyone")["remaining"], 7);
    assert_eq!(crate::object(&picture, "users")["keys"], 3);
    assert_eq!(crate::object(&picture, "payments")["state"], "open");
    let held = &crate::object(&picture, "database")["holders"][0];
    assert_eq!((&held["permits"], &held["alive"], &held["pid"]), (&2.into(), &true.into(), &worker.pid().into()));
    assert_eq!(picture["processes"].as_array().map(Vec::len), Some(1), "a looker takes no slot: {picture}");
    assert!(std::fs::read(place.file("orders")).expect("its bytes") == before, "and changes nothing");

    worker.kill();
    let (_, out, _) = run(&place, &["--json", "show", "orders"]).expect("as before");
    let picture: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(picture["processes"][0]["alive"], false, "who has died is seen: {picture}");
}

#[test]
fn top_sees_through_a_read_only_mount_what_changes() {
    let place = Place::new();
    let mut worker = Worker::start(&place);
    let Some(mut command) = mounted(&place, &["--json", "top", "orders", "-i", "0.1"]) else { return };
    let mut top = command.stdout(Stdio::piped()).spawn().expect("it runs");
    let lines = BufReader::new(top.stdout.take().expect("its output")).lines();
    let mut remaining = lines.map(|line| {
        let picture: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        crate::object(&picture, "everyone")["remaining"].as_u64().expect("a number")
    });
    assert_eq!(remaining.next(), Some(10));
    worker.tell("take 3");
    assert!(remaining.by_ref().take(200).any(|left| left == 7), "the first picture again and again");
    top.kill().and_then(|()| top.wait()).expect("it ends");
}

#[test]
fn what_would_change_something_is_refused_there() {
    let place = Place::new();
    let worker = Worker::start(&place);
    let file = place.file("orders");
    let before = std::fs::read(&file).expect("its bytes");
    for words in [
        &["open", "orders", "payments"][..],
        &["close", "orders", "payments"],
        &["reset", "orders", "everyone"],
        &["rm", "orders", "everyone", "--force"],
    ] {
        let Some((code, out, err)) = run(&place, words) else { return };
        assert_eq!((code, out.as_str()), (1, ""), "{words:?}");
        assert!(err.contains("can be looked at here and not changed") && err.contains("read-write"), "{err}");
        assert!(err.contains(file.to_str().expect("a path")), "{err}");
    }
    let (code, _, err) = run(&place, &["rm", "orders", "--force"]).expect("as before");
    assert!(code == 1 && err.contains("cannot remove") && err.contains("Read-only file system"), "{err}");
    assert!(std::fs::read(&file).expect("its bytes") == before);
    worker.kill();
}
