//! The screen and the keys of a terminal, while a live picture is on it.
#![allow(unsafe_code)] // One ioctl.

use super::units;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::read;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The other screen of a terminal, and single keys; the terminal is as before when this goes.
#[derive(Debug)]
pub(super) struct Screen {
    before: Termios,
}

// Control sequences of ECMA-48 and of xterm (private modes).
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_REST: &str = "\x1b[J";

impl Screen {
    /// `None`: nobody can press a key, as standard input is no terminal.
    pub(super) fn open() -> Option<Self> {
        let input = io::stdin();
        let before = input.is_terminal().then(|| tcgetattr(&input).ok()).flatten()?;
        let mut keys = before.clone();
        // Ctrl-C comes as a key, so that the terminal is put right before the end.
        keys.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG);
        tcsetattr(&input, SetArg::TCSANOW, &keys).ok()?;
        let screen = Self { before };
        print(ENTER).ok()?;
        Some(screen)
    }

    /// Puts a page on the screen, as much of it as there is room for.
    pub(super) fn draw(&self, page: &str, interval: Duration, out: &mut dyn Write) -> io::Result<()> {
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

    /// Waits for the next picture; true: its user has seen enough. Any other key brings the picture at once.
    pub(super) fn wait(&self, interval: Duration) -> io::Result<bool> {
        let input = io::stdin();
        let end = Instant::now() + interval;
        loop {
            // A millisecond more rather than a spin at the end.
            let left = end.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            let mut keys = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
            match poll(&mut keys, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
                Ok(0) => return Ok(false),
                Ok(_) => {
                    let mut pressed = [0; 64];
                    let count = read(&input, &mut pressed)?;
                    // The terminal is gone, or q, Ctrl-C or Ctrl-D was pressed.
                    return Ok(count == 0 || pressed[..count].iter().any(|key| matches!(key, b'q' | b'Q' | 3 | 4)));
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = print(LEAVE);
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
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
