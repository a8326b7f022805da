//! `top` on a terminal: however it ends or is stopped, the terminal is as it was.
#![allow(unsafe_code)] // A session of its own, and signals.

use crate::support::{Place, named};
use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program on a terminal of its own.
struct Terminal {
    child: Child,
    ours: File,
    shown: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn start(mut command: Command, term: &str) -> Self {
        let pair = openpty(None, None).expect("a terminal");
        let stream = || Stdio::from(pair.slave.try_clone().expect("a descriptor"));
        command.env("TERM", term).env_remove("TIDEGATE_DIR").env_remove("NO_COLOR");
        command.stdin(stream()).stdout(stream()).stderr(stream());
        // SAFETY: system calls, all async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                // Whoever runs the tests may ignore these (nohup, a shell's background jobs), and its children with it.
                for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP] {
                    libc::signal(signal, libc::SIG_DFL);
                }
                libc::setsid();
                libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let child = command.spawn().expect("it runs");
        drop((command, pair.slave));
        let ours = File::from(pair.master);
        let mut reader = ours.try_clone().expect("a descriptor");
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // An error: nobody has the other side any more.
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, ours, shown, seen: String::new() }
    }

    /// Waits until this was shown, after what was waited for before.
    #[track_caller]
    fn wait_for(&mut self, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(what) {
            assert!(Instant::now() < deadline, "{what:?} was not shown: {:?}", self.seen);
            match self.shown.recv_timeout(PATIENCE) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(why) => panic!("{what:?} was not shown ({why}): {:?}", self.seen),
            }
        }
        let end = self.seen.find(what).expect("found") + what.len();
        self.seen.drain(..end);
    }

    /// All that is shown up to its end.
    fn rest(&mut self) -> String {
        while let Ok(bytes) = self.shown.recv_timeout(PATIENCE) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        std::mem::take(&mut self.seen)
    }

    /// Whether it is as a shell needs it: whole lines, shown as they are typed, keys that send signals.
    fn is_right(&self) -> bool {
        let flags = tcgetattr(self.ours.as_fd()).expect("its modes").local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    fn press(&mut self, keys: &str) {
        self.ours.write_all(keys.as_bytes()).expect("pressed");
    }

    fn end(&mut self) -> std::process::ExitStatus {
        self.child.wait().expect("its end")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(pid: u32, signal: libc::c_int) {
    // SAFETY: a process of this test that was not waited for.
    assert_eq!(unsafe { libc::kill(pid as libc::pid_t, signal) }, 0);
}

fn top(place: &Place) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.arg("--path").arg(place.path()).args(["top", "orders", "-i", "0.1"]);
    command
}

#[test]
fn a_signal_that_ends_it_finds_the_terminal_right() {
    let place = Place::new();
    place.make("orders");
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP] {
        let mut terminal = Terminal::start(top(&place), "xterm");
        terminal.wait_for(ENTER);
        terminal.wait_for("q ends");
        assert!(!terminal.is_right());
        send(terminal.child.id(), signal);
        terminal.wait_for(LEAVE);
        assert_eq!(terminal.end().signal(), Some(signal), "its end is the signal's");
        assert!(terminal.is_right(), "signal {signal}");
    }
    for key in ["q", "\x03", "\x04", "\x1c"] {
        let mut terminal = Terminal::start(top(&place), "xterm");
        terminal.wait_for("q ends");
        terminal.press(key);
        terminal.wait_for(LEAVE);
        assert_eq!(terminal.end().code(), Some(0));
        assert!(terminal.is_right(), "key {key:?}");
    }
}

/// In a shell with jobs: a process that is stopped while nobody could have it go on is not stopped at all.
#[test]
fn stopped_it_leaves_the_terminal_right_and_going_on_it_takes_it_again() {
    let place = Place::new();
    place.make("orders");
    let mut shell = Command::new("sh");
    let script = "set -m; \"$@\" & echo \"pid $!.\"; fg; \
                  for again in 1 2; do echo \"stopped $again\"; read go; fg; done; echo ended";
    let top = top(&place);
    shell.args(["-c", script, "sh"]).arg(top.get_program()).args(top.get_args());
    let mut terminal = Terminal::start(shell, "xterm");
    terminal.wait_for("pid ");
    terminal.wait_for(ENTER);
    terminal.wait_for("q ends");
    terminal.press("\x1a");
    terminal.wait_for(LEAVE);
    terminal.wait_for("stopped 1");
    assert!(terminal.is_right(), "stopped by the key");
    terminal.press("go\n");
    terminal.wait_for(ENTER);
    terminal.wait_for("q ends");
    assert!(!terminal.is_right(), "it goes on");

    let children = format!("/proc/{0}/task/{0}/children", terminal.child.id());
    let children = std::fs::read_to_string(children).expect("the shell's children");
    send(children.trim().parse().expect("one"), libc::SIGTSTP);
    terminal.wait_for(LEAVE);
    terminal.wait_for("stopped 2");
    assert!(terminal.is_right(), "stopped by a signal");
    terminal.press("go\n");
    terminal.wait_for(ENTER);
    terminal.wait_for("q ends");
    terminal.press("q");
    terminal.wait_for(LEAVE);
    terminal.wait_for("ended");
    assert!(terminal.end().success() && terminal.is_right());
}

#[test]
fn a_terminal_that_knows_no_escape_sequences_gets_none() {
    let place = Place::new();
    place.make("orders");
    for term in ["dumb", ""] {
        let mut command = top(&place);
        command.args(["-n", "3"]);
        let mut terminal = Terminal::start(command, term);
        let shown = terminal.rest();
        assert_eq!(terminal.end().code(), Some(0));
        assert!(!shown.contains('\x1b'), "{shown:?}");
        assert_eq!(shown.matches(&named("orders.vN.arena")).count(), 3, "{shown:?}");
    }
}
