//! How a failure becomes a JavaScript exception.
#![allow(unsafe_code)] // Node-API is a C interface.

use crate::failure::Failure;
use napi::sys;
use std::any::Any;
use std::ffi::CString;
use std::ptr;

#[cold]
pub(super) fn throw(env: sys::napi_env, failure: Failure) -> sys::napi_value {
    let text = |text: String| CString::new(text.replace('\0', "\\0")).unwrap_or_default();
    let internal = |message: String| {
        let message = text(message);
        // SAFETY: `env` is live and both strings are NUL-terminated and outlive the call.
        unsafe { sys::napi_throw_error(env, c"ERR_TIDEGATE_INTERNAL".as_ptr(), message.as_ptr()) };
    };
    match failure {
        Failure::Argument { code, message } => {
            let message = text(message);
            // SAFETY: `env` is live and both strings are NUL-terminated and outlive the call.
            unsafe { sys::napi_throw_range_error(env, code.as_ptr(), message.as_ptr()) };
        }
        Failure::Arena { kind, message } => {
            let (code, message) = (text(format!("TIDEGATE_ARENA/{kind}")), text(message));
            // SAFETY: as above.
            unsafe { sys::napi_throw_error(env, code.as_ptr(), message.as_ptr()) };
        }
        Failure::Node(error) => internal(format!("Node-API: {}", error.reason)),
        Failure::Internal(what) => internal(format!("internal error, please report it: {what}")),
    }
    ptr::null_mut()
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref().cloned());
    text.unwrap_or_else(|| "panic without a message".to_owned())
}
