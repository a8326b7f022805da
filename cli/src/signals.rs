//! Signals that end, stop or continue a program whose terminal is in another mode: noted, so that the terminal is put
//! right first, and then left to whoever had them before.
#![allow(unsafe_code)] // Handlers of signals.

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::Signal::{self, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, kill, raise, sigaction};
use nix::unistd::{Pid, pipe2, read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

const ENDING: [Signal; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// Where the handler writes; -1: nowhere.
static NOTES: AtomicI32 = AtomicI32::new(-1);

/// A pipe, so that whichever thread a signal reaches, the one that polls wakes. One at a time in a process.
#[derive(Debug)]
pub(crate) struct Signals {
    notes: OwnedFd,
    _written: OwnedFd,
    before: Vec<(Signal, SigAction)>,
    /// To be raised when the terminal is right again.
    ended_by: Option<Signal>,
}

/// What was noted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) end: bool,
    pub(crate) stop: bool,
    pub(crate) go_on: bool,
}

/// async-signal-safe: an atomic and a write that does not wait.
extern "C" fn note(signal: libc::c_int) {
    let errno = Errno::last_raw();
    let byte = signal as u8;
    // SAFETY: one byte; what is no descriptor is an error. Relaxed: stored before the handler was in place.
    unsafe { libc::write(NOTES.load(Ordering::Relaxed), (&raw const byte).cast(), 1) };
    Errno::set_raw(errno);
}

impl Signals {
    pub(crate) fn watch() -> nix::Result<Self> {
        let (notes, written) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // Relaxed: `sigaction` comes after it.
        NOTES.store(written.as_raw_fd(), Ordering::Relaxed);
        let mut signals = Self { notes, _written: written, before: Vec::new(), ended_by: None };
        for signal in ENDING.into_iter().chain([SIGTSTP, SIGCONT]) {
            let before = install(signal, &noted(signal))?;
            signals.before.push((signal, before));
            // Under `nohup` a hang-up ends nothing.
            if matches!(before.handler(), SigHandler::SigIgn) {
                install(signal, &before)?;
            }
        }
        Ok(signals)
    }

    /// What came since it was last asked.
    pub(crate) fn take(&mut self) -> Noted {
        let (mut noted, mut bytes) = (Noted::default(), [0; 32]);
        while let Ok(count @ 1..) = read(&self.notes, &mut bytes) {
            for &byte in &bytes[..count] {
                match Signal::try_from(libc::c_int::from(byte)) {
                    Ok(SIGTSTP) => noted.stop = true,
                    Ok(SIGCONT) => noted.go_on = true,
                    Ok(ending) => self.ended_by = Some(ending),
                    Err(_) => {}
                }
            }
        }
        noted.end = self.ended_by.is_some();
        noted
    }

    /// Stops this process as the signal would have, and `everybody` in its group as the key would have; returns when it
    /// goes on, or at once where nobody could have it go on.
    pub(crate) fn stop(&self, everybody: bool) {
        let before = self.before.iter().find(|(signal, _)| *signal == SIGTSTP);
        let Some((_, before)) = before.filter(|(_, before)| !matches!(before.handler(), SigHandler::SigIgn)) else {
            return;
        };
        if install(SIGTSTP, before).is_ok() {
            let _ = if everybody { kill(Pid::from_raw(0), SIGTSTP) } else { raise(SIGTSTP) };
            let _ = install(SIGTSTP, &noted(SIGTSTP));
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notes.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for (signal, before) in &self.before {
            let _ = install(*signal, before);
        }
        // Also what came after it was last asked.
        self.take();
        if let Some(signal) = self.ended_by {
            let _ = raise(signal);
        }
    }
}

/// The second of its kind ends the program at once, should the terminal take no bytes.
fn noted(signal: Signal) -> SigAction {
    let once = if ENDING.contains(&signal) { SaFlags::SA_RESETHAND } else { SaFlags::empty() };
    SigAction::new(SigHandler::Handler(note), once, SigSet::empty())
}

fn install(signal: Signal, action: &SigAction) -> nix::Result<SigAction> {
    // SAFETY: `note` is async-signal-safe, and every other action was in place before.
    unsafe { sigaction(signal, action) }
}
