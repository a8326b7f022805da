//! What a call answers: one number, and for errors a sentence kept for the calling thread.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use tidegate_core::arena::{ArenaError, ArenaErrorKind};
use tidegate_core::config::C;
use tidegate_core::{ConfigError, ConfigErrorKind};

/// What a call answered: 0 = done, > 0 = refused (an answer, not an error), < 0 = error (wrong arguments, or a bug).
/// A value never changes its meaning; later versions may add values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_status {
    /// Done, admitted.
    TG_OK = 0,
    /// Refused: a rate limit has not enough tokens, a retry budget is empty, a client throttle rejects, or as many
    /// calls are under way as a concurrency limit allows (from a waiting form: still so at the deadline).
    TG_DENIED = 1,
    /// Refused: the circuit is open, or half-open with every probe taken.
    TG_OPEN = 2,
    /// Refused: the queue is full or above its high watermark; from a waiting form: still so at the deadline.
    TG_FULL = 3,
    /// Refused: the queue is closed; from a pop: closed and everything accepted has been taken out.
    TG_CLOSED = 4,
    /// Nothing there: the queue is empty (from a waiting form: still so at the deadline), no event is left to read, or
    /// an arena has no object of that name.
    TG_EMPTY = 5,
    /// Nothing given back: the permit was given back before, taken back from a dead process, another process's, or
    /// nobody's.
    TG_NOT_HELD = 6,
    /// Refused: that was the last attempt of a call.
    TG_EXHAUSTED = 7,
    /// Refused: the wait for another attempt would reach the deadline.
    TG_LATE = 8,
    /// Refused: there is too much to do, and more important calls come first.
    TG_SHED = 9,
    /// An item came out that the queue drops: it is the caller's, and the next call goes on.
    TG_DROPPED = 10,
    /// Refused for good: the access list denies the client.
    TG_FORBIDDEN = 11,
    /// Error: an argument that must not be NULL is NULL.
    TG_NULL = -1,
    /// Error: tidegate panicked. That is a bug in tidegate; the process goes on.
    TG_PANIC = -2,
    /// Error: a number outside what is allowed.
    TG_OUT_OF_RANGE = -3,
    /// Error: a text that does not have the form it should.
    TG_SYNTAX = -4,
    /// Error: two settings that exclude each other, or one that needs another.
    TG_CONFLICT = -5,
    /// Error: struct_size does not fit: start from the struct's INIT macro.
    TG_STRUCT_SIZE = -6,
    /// Error: a text that is not UTF-8.
    TG_UTF8 = -7,
    /// Error: an int32_t that is none of its enum's values.
    TG_UNKNOWN_VALUE = -8,
    /// Error: only a manual clock can be moved.
    TG_NOT_MANUAL = -9,
    /// Error: a permit that no acquire has filled in.
    TG_NO_PERMIT = -10,
    /// Error: an argument that is wrong in another way; see tg_last_error_message().
    TG_INVALID = -11,
    /// Error: the buffer is too small; *length tells what the text needs, without its NUL.
    TG_BUFFER = -12,
    /// Error: the memory that a size asks for cannot be had.
    TG_NO_MEMORY = -13,
    /// Error: this system has no arenas that processes share (Linux has).
    TG_ARENA_UNSUPPORTED = -20,
    /// Error: the arena's directory or file is somebody else's, a link, open to others, or may not be read or written.
    TG_ARENA_PERMISSION = -21,
    /// Error: the directory lies on a filesystem that machines share, or that keeps no memory in common.
    TG_ARENA_FILESYSTEM = -22,
    /// Error: no room for the arena, on the filesystem or in memory.
    TG_ARENA_NO_SPACE = -23,
    /// Error: the file is not an arena, or not whole: short, resized, or written by something else.
    TG_ARENA_FOREIGN = -24,
    /// Error: the file has another layout than its name says.
    TG_ARENA_VERSION = -25,
    /// Error: this process's clock and the arena's differ.
    TG_ARENA_CLOCK = -26,
    /// Error: an object of this name exists and is of another shape.
    TG_ARENA_SHAPE = -27,
    /// Error: an object of this name exists and was declared with other settings; see tg_on_conflict.
    TG_ARENA_SETTINGS = -28,
    /// Error: the arena is full: its bytes, its names or its places for processes.
    TG_ARENA_FULL = -29,
    /// Error: the arena's file was removed or replaced while in use.
    TG_ARENA_REMOVED = -30,
    /// Error: the system refused for another reason.
    TG_ARENA_SYSTEM = -31,
}

use tg_status::*;

const ALL: [(tg_status, &CStr); 37] = [
    (TG_OK, c"done"),
    (TG_DENIED, c"refused: limit reached"),
    (TG_OPEN, c"refused: circuit open"),
    (TG_FULL, c"refused: queue full"),
    (TG_CLOSED, c"refused: queue closed"),
    (TG_EMPTY, c"nothing there"),
    (TG_NOT_HELD, c"nothing given back"),
    (TG_EXHAUSTED, c"refused: no attempt is left"),
    (TG_LATE, c"refused: the deadline would pass"),
    (TG_SHED, c"refused: overloaded"),
    (TG_DROPPED, c"an item that the queue drops"),
    (TG_FORBIDDEN, c"refused: on the deny list"),
    (TG_NULL, c"error: an argument is NULL"),
    (TG_PANIC, c"error: tidegate panicked, which is a bug in tidegate"),
    (TG_OUT_OF_RANGE, c"error: a number is out of range"),
    (TG_SYNTAX, c"error: a text does not have the form it should"),
    (TG_CONFLICT, c"error: settings exclude each other"),
    (TG_STRUCT_SIZE, c"error: struct_size does not fit, start from the INIT macro"),
    (TG_UTF8, c"error: a text is not UTF-8"),
    (TG_UNKNOWN_VALUE, c"error: not a value of the enum"),
    (TG_NOT_MANUAL, c"error: not a manual clock"),
    (TG_NO_PERMIT, c"error: not a permit"),
    (TG_INVALID, c"error: invalid argument"),
    (TG_BUFFER, c"error: the buffer is too small"),
    (TG_NO_MEMORY, c"error: no memory for so much"),
    (TG_ARENA_UNSUPPORTED, c"error: this system has no shared arenas"),
    (TG_ARENA_PERMISSION, c"error: the arena's directory or file is not ours to use"),
    (TG_ARENA_FILESYSTEM, c"error: the arena's filesystem cannot hold it"),
    (TG_ARENA_NO_SPACE, c"error: no room for the arena"),
    (TG_ARENA_FOREIGN, c"error: the file is no arena, or not whole"),
    (TG_ARENA_VERSION, c"error: the arena has another layout"),
    (TG_ARENA_CLOCK, c"error: the arena's clock differs"),
    (TG_ARENA_SHAPE, c"error: the object has another shape"),
    (TG_ARENA_SETTINGS, c"error: the object was declared with other settings"),
    (TG_ARENA_FULL, c"error: the arena is full"),
    (TG_ARENA_REMOVED, c"error: the arena's file was removed"),
    (TG_ARENA_SYSTEM, c"error: the system refused"),
];

/// A failed call: its status and the sentence that says what was wrong, what is allowed and how to mend it.
#[derive(Debug)]
pub(crate) struct Failure {
    status: tg_status,
    message: String,
}

/// What every guarded body gives back.
pub(crate) type Answer = Result<tg_status, Failure>;

impl Failure {
    #[cold]
    pub(crate) fn new(status: tg_status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    #[cold]
    pub(crate) fn null(argument: &'static str) -> Self {
        Self::new(TG_NULL, format!("{argument}: is NULL, must point to an object that is still alive"))
    }

    /// Of one among many things that a call makes.
    #[cold]
    pub(crate) fn within(self, whose: &str) -> Self {
        Self { message: format!("{whose}: {}", self.message), ..self }
    }

    /// Keeps the sentence for this thread.
    #[cold]
    pub(crate) fn record(self) -> tg_status {
        let message = CString::new(self.message.replace('\0', "\\0")).unwrap_or_default();
        // A thread that is being torn down has nowhere to keep it; the status still tells.
        let _ = LAST.try_with(|last| last.replace(message));
        self.status
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let status = match error.kind() {
            ConfigErrorKind::OutOfRange => TG_OUT_OF_RANGE,
            ConfigErrorKind::Syntax => TG_SYNTAX,
            ConfigErrorKind::Conflict => TG_CONFLICT,
            ConfigErrorKind::NoMemory => TG_NO_MEMORY,
            _ => TG_INVALID,
        };
        Self::new(status, error.said(&C))
    }
}

impl From<ArenaError> for Failure {
    fn from(error: ArenaError) -> Self {
        let status = match (error.kind(), error.config()) {
            // A wrong setting is told as it is without an arena.
            (ArenaErrorKind::Argument, Some(config)) => return config.clone().into(),
            (ArenaErrorKind::Unsupported, _) => TG_ARENA_UNSUPPORTED,
            (ArenaErrorKind::Permission, _) => TG_ARENA_PERMISSION,
            (ArenaErrorKind::Filesystem, _) => TG_ARENA_FILESYSTEM,
            (ArenaErrorKind::NoSpace, _) => TG_ARENA_NO_SPACE,
            (ArenaErrorKind::Foreign, _) => TG_ARENA_FOREIGN,
            (ArenaErrorKind::Version, _) => TG_ARENA_VERSION,
            (ArenaErrorKind::Clock, _) => TG_ARENA_CLOCK,
            (ArenaErrorKind::Shape, _) => TG_ARENA_SHAPE,
            (ArenaErrorKind::Settings, _) => TG_ARENA_SETTINGS,
            (ArenaErrorKind::Full, _) => TG_ARENA_FULL,
            (ArenaErrorKind::Removed, _) => TG_ARENA_REMOVED,
            (ArenaErrorKind::System, _) => TG_ARENA_SYSTEM,
            _ => TG_INVALID,
        };
        Self::new(status, error.said(&C))
    }
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// A short, fixed text for `status` (any number: an unknown one is told as such). Not the place for details: see
/// tg_last_error_message().
///
/// Ownership: static; never free it. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn tg_status_message(status: i32) -> *const c_char {
    let found = ALL.iter().find(|(value, _)| *value as i32 == status);
    found.map_or(c"unknown status", |(_, text)| text).as_ptr()
}

/// What the latest failed call (status < 0) of this thread had to say: which argument was wrong, how, what is allowed.
/// Calls that succeed or are refused leave it as it is.
///
/// Ownership: tidegate's; copy it before the next failing call on this thread. Never NULL, "" before any failure.
/// Thread safety: each thread has its own.
#[unsafe(no_mangle)]
pub extern "C" fn tg_last_error_message() -> *const c_char {
    // The text lives in the cell until the next `record` on this thread replaces it.
    LAST.try_with(|last| last.try_borrow().map_or(c"".as_ptr(), |text| text.as_ptr())).unwrap_or(c"".as_ptr())
}
