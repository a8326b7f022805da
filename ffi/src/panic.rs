//! A panic must not cross into C: it becomes TG_PANIC.

use crate::status::{Answer, Failure, tg_status};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tidegate_core::cancellation::CancellationOff;

/// Runs the body of an exported function that makes no system call: a thread may be cancelled in none of it.
#[inline]
pub(crate) fn guard(body: impl FnOnce() -> Answer) -> tg_status {
    // AssertUnwindSafe: state that the body shares is the core's, made of atomics that hold between any two steps.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(status)) => status,
        Ok(Err(failure)) => failure.record(),
        Err(payload) => Failure::new(tg_status::TG_PANIC, describe(payload)).record(),
    }
}

/// [`guard`] for what may make system calls: see [`CancellationOff`].
pub(crate) fn guard_system(body: impl FnOnce() -> Answer) -> tg_status {
    let _off = CancellationOff::new();
    guard(body)
}

#[cold]
fn describe(payload: Box<dyn Any + Send>) -> String {
    let text = if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        // The drop of an unknown payload may panic in turn, which would abort: leak it.
        std::mem::forget(payload);
        "no text".to_owned()
    };
    format!("panic inside tidegate: {text}; this is a bug in tidegate, please report it")
}

/// Panics on demand, so that a C program can see what becomes of it: 0 with a text, 1 with a payload whose drop panics.
/// cbindgen:ignore
#[cfg(feature = "panic-probe")]
#[allow(unsafe_code)] // `no_mangle` only
#[unsafe(no_mangle)]
pub extern "C" fn tg_panic_probe(kind: i32) -> tg_status {
    struct Spiteful;
    impl Drop for Spiteful {
        fn drop(&mut self) {
            panic!("a second panic, from the payload of the first");
        }
    }
    guard(|| match kind {
        0 => panic!("asked for"),
        _ => std::panic::panic_any(Spiteful),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn a_panic_becomes_a_status_with_its_text() {
        assert_eq!(guard(|| panic!("with {}", "text")), tg_status::TG_PANIC);
        let message = crate::status::tg_last_error_message();
        #[allow(unsafe_code)]
        // SAFETY: the pointer is this thread's text, NUL-terminated, and nothing fails between the two lines.
        let message = unsafe { CStr::from_ptr(message) }.to_str().unwrap();
        assert!(message.contains("with text"), "{message}");
    }
}
