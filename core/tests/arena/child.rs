//! Other processes: this test binary again, told what to do by its environment and its standard input.

use crate::messages::{Messages, say};
use crate::support::{bucket, declare, drain};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidegate::Arena;
use tidegate::arena::HostConfig;

const TOLD: &str = "TIDEGATE_TEST_TOLD";

/// A process that opens an arena.
pub(crate) struct Other(Messages);

impl Other {
    /// Starts it. `user`: the user and group to become. It waits for a line before it does anything.
    pub(crate) fn start(options: &HostConfig, user: Option<(u32, u32)>) -> Self {
        Self::spawn(Command::new(this_program()), options, user)
    }

    /// Starts it with `TIDEGATE_DIR`, or without.
    pub(crate) fn start_with(options: &HostConfig, directory: Option<&Path>) -> Self {
        // `spawn` takes the variable away; `env` of the system brings it back.
        let mut command = Command::new("env");
        command.args(directory.map(|path| format!("TIDEGATE_DIR={}", path.display()))).arg(this_program());
        Self::spawn(command, options, None)
    }

    /// Starts it as in a container: with mounts (made by `mounts`, lines of sh) and process ids of its own. `None`, and
    /// says why, where this process may not do that.
    pub(crate) fn contain(options: &HostConfig, mounts: &str) -> Option<Self> {
        let own = ["--mount", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"];
        let possible = Command::new("unshare").args(own).arg("true").output();
        if !possible.as_ref().is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: needs the right to make namespaces: {possible:?}");
            return None;
        }
        let mut command = Command::new("unshare");
        command.args(own).args(["sh", "-euc", &format!("{mounts}\nexec \"$0\" \"$@\"")]).arg(this_program());
        Some(Self::spawn(command, options, None))
    }

    /// Starts it in a time namespace whose `CLOCK_MONOTONIC` is this much ahead. `None`, and says why, where this
    /// process may not do that.
    pub(crate) fn ahead(options: &HostConfig, seconds: u32) -> Option<Self> {
        let mut command = Command::new("unshare");
        command.args(["--time", "--monotonic", &seconds.to_string(), "--fork", "--kill-child"]);
        let possible = Command::new("unshare").args(command.get_args()).arg("true").output();
        if !possible.as_ref().is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: needs the right to make time namespaces: {possible:?}");
            return None;
        }
        command.arg(this_program());
        Some(Self::spawn(command, options, None))
    }

    fn spawn(mut command: Command, options: &HostConfig, user: Option<(u32, u32)>) -> Self {
        let (uid, gid) = user.unwrap_or((u32::MAX, u32::MAX));
        let path = options.path.as_ref().map_or("", |path| path.to_str().expect("a path"));
        let group = options.group.as_deref().unwrap_or("");
        let capacity = options.capacity.unwrap_or(0);
        command.env(TOLD, format!("{uid}|{gid}|{path}|{}|{group}|{capacity}", options.name));
        Self(Messages::start(command, "child::another_process"))
    }

    /// Starts it and has it open the arena; what it says of that.
    pub(crate) fn open(options: &HostConfig, user: Option<(u32, u32)>) -> (Self, String) {
        let mut other = Self::start(options, user);
        let said = other.ask("open");
        (other, said)
    }

    pub(crate) fn tell(&mut self, what: &str) {
        self.0.tell(what);
    }

    /// What it says next.
    pub(crate) fn hear(&mut self) -> String {
        self.0.hear()
    }

    pub(crate) fn ask(&mut self, what: &str) -> String {
        self.0.ask(what)
    }

    /// kill -9.
    pub(crate) fn kill(self) {
        self.0.kill();
    }
}

fn this_program() -> PathBuf {
    std::env::current_exe().expect("this program")
}

/// What the processes run that tests start; nothing when it is run as a test.
#[test]
fn another_process() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let told: Vec<_> = told.split('|').collect();
    let [uid, gid, path, name, group, capacity] = told[..] else { panic!("{told:?}") };
    let number = |text: &str| text.parse::<u32>().expect("a number");
    if number(uid) != u32::MAX {
        let gid = Gid::from_raw(number(gid));
        setgroups(&[gid]).and_then(|()| setgid(gid)).and_then(|()| setuid(Uid::from_raw(number(uid)))).expect("root");
    }
    let mut options = HostConfig::new(name);
    options.path = Some(path).filter(|path| !path.is_empty()).map(Into::into);
    options.group = Some(group.to_owned()).filter(|group| !group.is_empty());
    options.capacity = Some(number(capacity) as usize).filter(|&bytes| bytes > 0);
    say("ready");
    let mut arena = None;
    let mut limits = HashMap::new();
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "open" => match Arena::open(&options) {
                Ok(opened) => {
                    let path = opened.path().expect("a file");
                    let inode = std::fs::metadata(path).expect("the file").ino();
                    say(&format!("opened {inode} {}", path.display()));
                    arena = Some(opened);
                }
                Err(error) => say(&format!("{}: {error}", error.kind().name())),
            },
            "take" => {
                let arena = arena.as_ref().expect("opened");
                let bucket = bucket(arena, "shared");
                say(&bucket.map_or_else(|error| error.to_string(), |it| it.try_acquire(1).to_string()));
            }
            told if told.starts_with("drain ") => {
                let [_, rate, name, key] = told.split(' ').collect::<Vec<_>>()[..] else { panic!("told {told:?}") };
                let limiter = declare(arena.as_ref().expect("opened"), rate, name);
                say(&drain(&limiter, key.as_bytes()).to_string());
                limits.insert(name.to_owned(), limiter);
            }
            told if told.starts_with("again ") => {
                let [_, name, key] = told.split(' ').collect::<Vec<_>>()[..] else { panic!("told {told:?}") };
                say(&drain(&limits[name], key.as_bytes()).to_string());
            }
            mask if mask.starts_with("umask ") => {
                let mask = u32::from_str_radix(&mask[6..], 8).expect("octal");
                nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask));
                say("done");
            }
            limit if limit.starts_with("fsize ") => {
                let limit = limit[6..].parse().expect("bytes");
                nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE, limit, limit).expect("lower");
                say("done");
            }
            "open many" => {
                let mut opened = Vec::new();
                let error = (0..100).find_map(|number| {
                    let options = HostConfig { name: format!("a{number}"), capacity: Some(1 << 20), ..options.clone() };
                    Arena::open(&options).map(|arena| opened.push(arena)).err()
                });
                let error = error.expect("a limit");
                say(&format!("{} {}: {error}", opened.len(), error.kind().name()));
            }
            "remove" => say(&format!("{:?}", Arena::unlink(&options).map(|file| file.is_some()))),
            // Until it is killed.
            "make and remove" => loop {
                let made = Arena::open(&options).expect("made");
                drop(made);
                Arena::unlink(&options).expect("removed");
            },
            other => panic!("told {other:?}"),
        }
    }
}
