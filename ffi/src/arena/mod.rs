//! Memory that threads and processes share: named objects in one mapping.

// `#[unsafe(no_mangle)]`, and `unsafe impl Settings` for a struct of plain numbers.
#![allow(unsafe_code)]

pub mod place;

use crate::clock::tg_clock;
use crate::handle::{Handle, In, Out, Settings, versioned};
use crate::panic::guard_system;
use crate::status::{Failure, tg_status};
use std::ffi::c_char;
use std::mem::size_of;
use std::ptr;
use std::sync::Arc;
use tg_status::{TG_EMPTY, TG_OK};
use tidegate_core::arena::HostConfig;
use tidegate_core::{Arena, Scope};

/// Memory in which named objects live: of the machine for all its processes, or of this process for its threads. The
/// same name in the same arena is the same object, whoever opens it.
#[derive(Debug)]
pub struct tg_arena(pub(crate) Arc<Arena>);

impl Handle for tg_arena {}

/// Which arena of this machine to open. Start from TG_ARENA_CONFIG_INIT and set name.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_arena_config {
    /// sizeof(tg_arena_config)
    pub struct_size: usize,
    /// 1 to 63 of A-Z a-z 0-9 . _ -. Must be set. Borrowed during the call, as all texts here.
    pub name: In<c_char>,
    /// The directory of its file; NULL: TIDEGATE_DIR, else /dev/shm/tidegate-UID, which is made with mode 0700.
    pub path: In<c_char>,
    /// The group that may use the file as well (mode 0660), by name or number: for containers that run as different
    /// users. NULL: only its owner may (mode 0600).
    pub group: In<c_char>,
    /// The most bytes it can take; it never grows. 0: what the file has; a new one gets what TIDEGATE_CAPACITY says in
    /// the environment, else 256 MiB. Asking an existing arena for another is an error.
    pub capacity: usize,
}

versioned!(tg_arena_config, first = 40, fields = [name, path, group, capacity]);
// SAFETY: pointers and numbers only.
unsafe impl Settings for tg_arena_config {}

impl Default for tg_arena_config {
    fn default() -> Self {
        let (name, path, group) = Default::default();
        Self { struct_size: size_of::<Self>(), name, path, group, capacity: 0 }
    }
}

impl tg_arena_config {
    fn checked(&self) -> Result<HostConfig, Failure> {
        let name = self.name.text("name")?.ok_or_else(|| Failure::null("name"))?;
        let mut options = HostConfig::new(name);
        options.path = self.path.text("path")?.map(Into::into);
        options.group = self.group.text("group")?.map(Into::into);
        options.capacity = (self.capacity != 0).then_some(self.capacity);
        Ok(options)
    }
}

/// Opens an arena of this machine, or makes it: every process that opens the same name in the same directory shares the
/// objects in it. It lives in a mapped file and outlasts its processes until the machine boots or the file is removed
/// (`tidegate rm`). Opened twice in a process it is one. Say what tg_arena_notices() has to say.
///
/// Errors: TG_UTF8; TG_INVALID (a name that is none, a capacity that is none or another than the file's); TG_ARENA_*
/// (what stands in the way).
#[unsafe(no_mangle)]
pub extern "C" fn tg_arena_open(config: In<tg_arena_config>, arena: Out<*mut tg_arena>) -> tg_status {
    guard_system(|| {
        let config = config.read("config")?;
        arena.require("arena")?;
        arena.give(tg_arena(Arena::open(&config.checked()?)?));
        Ok(TG_OK)
    })
}

/// Opens an arena of this process, or makes it: threads that share no pointers share its objects by name. After fork()
/// the child has a copy of its own. A new one has as many bytes as TIDEGATE_CAPACITY says in the environment, else 256
/// MiB of address space.
///
/// Errors: TG_UTF8, TG_INVALID (a name that is none), TG_ARENA_NO_SPACE.
#[unsafe(no_mangle)]
pub extern "C" fn tg_arena_process(name: In<c_char>, arena: Out<*mut tg_arena>) -> tg_status {
    guard_system(|| {
        let name = name.text("name")?.ok_or_else(|| Failure::null("name"))?;
        arena.require("arena")?;
        arena.give(tg_arena(Arena::process(name)?));
        Ok(TG_OK)
    })
}

/// tg_arena_process() with this many bytes of address space, whatever the environment says. It never grows.
///
/// Errors: TG_UTF8, TG_INVALID (a name that is none, a capacity below 256 KiB or another than the arena has),
/// TG_ARENA_NO_SPACE.
#[unsafe(no_mangle)]
pub extern "C" fn tg_arena_process_with_capacity(
    name: In<c_char>,
    capacity: usize,
    arena: Out<*mut tg_arena>,
) -> tg_status {
    guard_system(|| {
        let name = name.text("name")?.ok_or_else(|| Failure::null("name"))?;
        arena.require("arena")?;
        arena.give(tg_arena(Arena::process_with_capacity(name, capacity)?));
        Ok(TG_OK)
    })
}

/// Opens what one text says, the same in every language: "host:orders" (tg_arena_open()), "process:orders"
/// (tg_arena_process()), or "process" (private: *arena is NULL, which a config takes for memory of the object's own).
/// NULL: what TIDEGATE_SCOPE says in the environment, "process" where it says nothing.
///
/// Errors: TG_UTF8; TG_INVALID (none of these forms); TG_ARENA_* as tg_arena_open().
#[unsafe(no_mangle)]
pub extern "C" fn tg_arena_from_scope(scope: In<c_char>, arena: Out<*mut tg_arena>) -> tg_status {
    guard_system(|| {
        let scope = scope.text("scope")?.map_or_else(Scope::from_env, Scope::parse)?;
        arena.require("arena")?;
        match scope.open()? {
            Some(opened) => arena.give(tg_arena(opened)),
            None => arena.set(ptr::null_mut()),
        }
        Ok(TG_OK)
    })
}

/// Frees the handle; NULL is fine. The arena stays open as long as an object in it does.
#[unsafe(no_mangle)]
pub extern "C" fn tg_arena_free(arena: Out<tg_arena>) {
    guard_system(|| {
        arena.free();
        Ok(TG_OK)
    });
}

/// Makes a handle to the arena's clock, which its creator chose and everything in it lives by: what the `_at` forms of
/// objects in it take, and what an object outside needs to stand in one set with them.
///
/// Ownership: to be freed with tg_clock_free(), before or after the arena.
#[unsafe(no_mangle)]
pub extern "C" fn tg_arena_clock(arena: In<tg_arena>, clock: Out<*mut tg_clock>) -> tg_status {
    guard_system(|| {
        let arena = &arena.get("arena")?.0;
        clock.require("clock")?;
        clock.give(tg_clock::of(arena.clock().clone()));
        Ok(TG_OK)
    })
}

/// Writes what is worth saying once of this arena (another layout of it is in use by older programs, ...) and a NUL
/// into the size bytes of buffer: a line each, ended by \n; "" when there is nothing. *length (may be NULL): without
/// the NUL. `fputs(buffer, stderr);`
///
/// Ownership: buffer may be NULL when size is 0, to ask for the length.
/// Errors: TG_BUFFER (too few bytes; nothing is written but *length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_arena_notices(
    arena: In<tg_arena>,
    buffer: Out<c_char>,
    size: usize,
    length: Out<usize>,
) -> tg_status {
    guard_system(|| {
        let text: String = arena.get("arena")?.0.notices().iter().map(|notice| format!("{notice}\n")).collect();
        buffer.fill_text(size, &length, &text)
    })
}

/// Takes a name away: who has the object open goes on with it, who opens the name afresh makes a new one. Its bytes are
/// not given out again. TG_OK, or TG_EMPTY when there is no such name.
///
/// Thread safety: may wait for who opens an object, in any process.
/// Errors: TG_UTF8, TG_ARENA_SYSTEM (the lock of the arena).
#[unsafe(no_mangle)]
pub extern "C" fn tg_arena_remove(arena: In<tg_arena>, name: In<c_char>) -> tg_status {
    guard_system(|| {
        let arena = &arena.get("arena")?.0;
        let name = name.text("name")?.ok_or_else(|| Failure::null("name"))?;
        Ok(if arena.remove(name)? { TG_OK } else { TG_EMPTY })
    })
}
