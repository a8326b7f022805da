//! The screen and the keys of a terminal, while a live picture is on it.
#![allow(unsafe_code)] // Plain calls of libc.

use crate::signals::Signals;
use crate::units;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::read;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The other screen of a terminal, and single keys; the terminal is as before when this goes, or when the process is
/// stopped.
#[derive(Debug)]
pub(crate) struct Screen {
    before: Termios,
    entered: bool,
    // Dropped last: what ended the program ends it when the terminal is right.
    signals: Signals,
}

// Control sequences of ECMA-48 and of xterm (private modes).
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_REST: &str = "\x1b[J";

impl Screen {
    /// `None`: nobody can press a key, as standard input is no terminal.
    pub(crate) fn open() -> Option<Self> {
        let input = io::stdin();
        let before = input.is_terminal().then(|| tcgetattr(&input).ok()).flatten()?;
        let mut screen = Self { before, entered: false, signals: Signals::watch().ok()? };
        while !screen.entered {
            screen.enter();
            // Begun in the background, it was stopped in there, and what has it go on ends the attempt.
            let noted = if screen.entered { break } else { screen.signals.take() };
            if noted.end || !noted.go_on {
                return None;
            }
        }
        Some(screen)
    }

    /// In the background it stops in here until it is in the foreground; a signal that comes meanwhile ends the
    /// attempt.
    fn enter(&mut self) {
        let mut keys = self.before.clone();
        // Ctrl-C and Ctrl-Z come as keys, so that the terminal is put right first.
        keys.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG);
        self.entered = tcsetattr(io::stdin(), SetArg::TCSANOW, &keys).is_ok() && print(ENTER).is_ok();
    }

    fn leave(&mut self) {
        // Who is in the background leaves the terminal to whoever has it; to change it would stop this process.
        if std::mem::take(&mut self.entered) && in_foreground() {
            let _ = print(LEAVE);
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
        }
    }

    /// Lets go of the terminal and stops, until the process goes on.
    fn stop(&mut self, everybody: bool) {
        self.leave();
        self.signals.stop(everybody);
        if !self.signals.take().end {
            self.enter();
        }
    }

    /// Puts a page on the screen, as much of it as there is room for.
    pub(crate) fn draw(&self, page: &str, interval: Duration, out: &mut dyn Write) -> io::Result<()> {
        let lines: Vec<&str> = page.lines().collect();
        let room = rows().unwrap_or(24).saturating_sub(1);
        let shown = if lines.len() <= room { lines.len() } else { room.saturating_sub(1) };
        write!(out, "{HOME}")?;
        for line in &lines[..shown] {
            write!(out, "{line}{CLEAR_LINE}\r\n")?;
        }
        if shown < lines.len() {
            write!(out, "… {} lines more: make the window taller{CLEAR_LINE}\r\n", lines.len() - shown)?;
        }
        let every = units::span(u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX));
        write!(out, "{CLEAR_REST}every {every}; q ends")
    }

    /// Waits for the next picture; true: its user, or a signal, ends it. Any other key brings the picture at once.
    pub(crate) fn wait(&mut self, interval: Duration) -> io::Result<bool> {
        let end = Instant::now() + interval;
        loop {
            let input = io::stdin();
            // A millisecond more rather than a spin at the end.
            let left = end.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            let mut ready =
                [PollFd::new(input.as_fd(), PollFlags::POLLIN), PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            let count = match poll(&mut ready, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
                Err(Errno::EINTR) => continue,
                count => count?,
            };
            let pressed = ready[0].any().unwrap_or(true);
            let noted = self.signals.take();
            if noted.end {
                return Ok(true);
            }
            if noted.stop {
                self.stop(false);
            } else if noted.go_on || !self.entered {
                // After SIGSTOP its shell may have changed the terminal.
                self.enter();
            } else if count == 0 {
                return Ok(false);
            } else if pressed {
                match keys()? {
                    Key::End => return Ok(true),
                    Key::Stop => self.stop(true),
                    Key::Other => {}
                    Key::None => continue,
                }
            } else {
                continue;
            }
            if self.entered {
                return Ok(false);
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
    }
}

enum Key {
    End,
    Stop,
    Other,
    None,
}

fn keys() -> io::Result<Key> {
    let mut pressed = [0; 64];
    match read(io::stdin(), &mut pressed) {
        Err(Errno::EINTR) => Ok(Key::None),
        Err(error) => Err(error.into()),
        // The terminal is gone.
        Ok(0) => Ok(Key::End),
        // Ctrl-C, Ctrl-D and Ctrl-\.
        Ok(count) if pressed[..count].iter().any(|key| matches!(key, b'q' | b'Q' | 3 | 4 | 28)) => Ok(Key::End),
        Ok(count) if pressed[..count].contains(&26) => Ok(Key::Stop),
        Ok(_) => Ok(Key::Other),
    }
}

/// Whether this process has the terminal; where that cannot be asked, nobody minds.
fn in_foreground() -> bool {
    // SAFETY: both only ask.
    let (terminal, own) = unsafe { (libc::tcgetpgrp(libc::STDIN_FILENO), libc::getpgrp()) };
    terminal == -1 || terminal == own
}

fn print(sequence: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(sequence.as_bytes())?;
    out.flush()
}

/// Lines of the terminal; `None`: it does not say.
fn rows() -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one `winsize` to where it points.
    let answer = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) };
    (answer == 0 && size.ws_row > 0).then_some(size.ws_row.into())
}
