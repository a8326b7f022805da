//! Other processes: this test binary again, told what to do by its environment and its standard input.

use crate::support::bucket;
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use tidegate::Arena;
use tidegate::arena::HostOptions;

const TOLD: &str = "TIDEGATE_TEST_TOLD";
/// What a child says begins so: the test harness prints lines of its own.
const SAYS: &str = "child: ";

/// A process that opens an arena.
pub(crate) struct Other {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    input: ChildStdin,
}

impl Other {
    /// Starts it. `user`: the user and group to become. It waits for a line before it does anything.
    pub(crate) fn start(options: &HostOptions, user: Option<(u32, u32)>) -> Self {
        Self::spawn(Command::new(this_program()), options, user)
    }

    /// Starts it with `TIDEGATE_DIR`, or without.
    pub(crate) fn start_with(options: &HostOptions, directory: Option<&Path>) -> Self {
        // `spawn` takes the variable away; `env` of the system brings it back.
        let mut command = Command::new("env");
        command.args(directory.map(|path| format!("TIDEGATE_DIR={}", path.display()))).arg(this_program());
        Self::spawn(command, options, None)
    }

    /// Starts it as in a container: with mounts (made by `mounts`, lines of sh) and process ids of its own. `None`, and says why, where
    /// this process may not do that.
    pub(crate) fn contain(options: &HostOptions, mounts: &str) -> Option<Self> {
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

    fn spawn(mut command: Command, options: &HostOptions, user: Option<(u32, u32)>) -> Self {
        let (uid, gid) = user.unwrap_or((u32::MAX, u32::MAX));
        let path = options.path.as_ref().map_or("", |path| path.to_str().expect("a path"));
        let group = options.group.as_deref().unwrap_or("");
        let capacity = options.capacity.unwrap_or(0);
        let mut child = command
            .args(["--exact", "child::another_process", "--nocapture"])
            .env(TOLD, format!("{uid}|{gid}|{path}|{}|{group}|{capacity}", options.name))
            .env_remove("TIDEGATE_DIR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let said = BufReader::new(child.stdout.take().expect("its output")).lines();
        let input = child.stdin.take().expect("its input");
        let mut other = Self { child, said, input };
        assert_eq!(other.hear(), "ready");
        other
    }

    /// Starts it and has it open the arena; what it says of that.
    pub(crate) fn open(options: &HostOptions, user: Option<(u32, u32)>) -> (Self, String) {
        let mut other = Self::start(options, user);
        let said = other.ask("open");
        (other, said)
    }

    pub(crate) fn tell(&mut self, what: &str) {
        writeln!(self.input, "{what}").expect("it listens");
    }

    /// What it says next.
    pub(crate) fn hear(&mut self) -> String {
        let said = self.said.by_ref().map(|line| line.expect("a line"));
        let mut ours = said.filter_map(|line| line.split_once(SAYS).map(|(_, rest)| rest.to_owned()));
        ours.next().expect("it lives and speaks")
    }

    pub(crate) fn ask(&mut self, what: &str) -> String {
        self.tell(what);
        self.hear()
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("its end");
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn this_program() -> PathBuf {
    std::env::current_exe().expect("this program")
}

fn say(what: &str) {
    // One write: the harness writes to the same place.
    let line = format!("{SAYS}{what}\n");
    std::io::stdout().write_all(line.as_bytes()).expect("a listener");
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
    let mut options = HostOptions::new(name);
    options.path = Some(path).filter(|path| !path.is_empty()).map(Into::into);
    options.group = Some(group.to_owned()).filter(|group| !group.is_empty());
    options.capacity = Some(number(capacity) as usize).filter(|&bytes| bytes > 0);
    say("ready");
    let mut arena = None;
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
                say(&bucket(arena, "shared").map_or_else(|error| error.to_string(), |it| it.try_acquire(1).to_string()));
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
