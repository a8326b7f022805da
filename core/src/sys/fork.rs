//! Forks are counted, and what a child must not inherit is put right before it runs.
//!
//! A child of fork has one thread, a copy of all private memory, and the same open file descriptions as its parent. One
//! handler in the child counts the fork and calls what was registered: lock files are opened anew (a description that
//! the child kept alive would make the parent look alive after its death), counters forget which stripe the thread had.
#![allow(unsafe_code)] // pthread_atfork, and statics behind an atomic pointer.

use crate::sync::{AtomicU32, Ordering};
use std::sync::atomic::AtomicPtr;

/// 1, and one more in each child of fork; never 0.
static GENERATION: AtomicU32 = AtomicU32::new(1);

/// Which process of a line of forks this is; never 0.
#[inline]
pub(crate) fn generation() -> u32 {
    // Relaxed: it changes only while a child has a single thread.
    GENERATION.load(Ordering::Relaxed)
}

/// Called in children of fork with the generations of the parent and of the child. It may only do what is
/// async-signal-safe.
#[derive(Debug)]
pub(crate) struct ChildHook(pub(crate) fn(before: u32, own: u32));

/// As many as there are users.
const HOOKS: usize = 4;
static REGISTERED: [AtomicPtr<ChildHook>; HOOKS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; HOOKS];

impl ChildHook {
    /// Has it called in children from now on. Cheap to call again; takes no lock, for a child may call it.
    pub(crate) fn register(&'static self) {
        let own = std::ptr::from_ref(self).cast_mut();
        let is_in = |place: &AtomicPtr<Self>| {
            // AcqRel, Acquire: the pointer says all. Lost: it is in this place already, or another hook is.
            let put = place.compare_exchange(std::ptr::null_mut(), own, Ordering::AcqRel, Ordering::Acquire);
            put.is_ok() || put == Err(own)
        };
        assert!(REGISTERED.iter().any(is_in), "more hooks than HOOKS");
        watch();
    }
}

/// Has forks counted from now on. Cheap to call again; takes no lock, for a child may call it.
pub(crate) fn watch() {
    static WATCHED: AtomicU32 = AtomicU32::new(0);
    // Acquire: pairs with the release below, so that who returns knows the handler to be in place.
    if WATCHED.load(Ordering::Acquire) == 0 {
        #[cfg(unix)]
        // SAFETY: the handler is a plain function that lives as long as this library; libc forgets it when it is
        // unloaded.
        let refused = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        #[cfg(not(unix))]
        let refused = 0;
        // Only without memory; the next caller tries again. Two callers at once register it twice, which does no harm.
        if refused == 0 {
            // Release: as above.
            WATCHED.store(1, Ordering::Release);
        }
    }
}

#[cfg(unix)]
extern "C" fn in_child() {
    let before = generation();
    let next = before.wrapping_add(1).max(1);
    // Relaxed: the child has one thread, and others that it starts see what was before.
    GENERATION.store(next, Ordering::Relaxed);
    for place in &REGISTERED {
        // SAFETY: null, or a static that `register` put there.
        if let Some(hook) = unsafe { place.load(Ordering::Acquire).as_ref() } {
            hook.0(before, next);
        }
    }
}
