//! How a native object follows its JavaScript instance to the grave: when the instance is collected, or its environment
//! (the main thread, a worker) goes.
#![allow(unsafe_code)] // Node-API is a C interface.

use super::call::{Answer, Call, Reply};
use crate::io::Io;
use crate::table::Table;
use napi::{check_status, sys};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

/// Frees the box behind `data` when `owner` is collected or the environment goes.
pub(super) fn attach<B>(env: sys::napi_env, owner: sys::napi_value, data: *mut B) -> napi::Result<()> {
    // SAFETY: `env` and `owner` are live; `finalize::<B>` frees exactly what `data` points to, once.
    check_status!(unsafe {
        sys::napi_add_finalizer(env, owner, data.cast(), Some(finalize::<B>), ptr::null_mut(), ptr::null_mut())
    })
}

unsafe extern "C" fn finalize<B>(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: node finalizes once, with the pointer given to napi_add_finalizer, which came from Box::into_raw.
    let owned = unsafe { Box::from_raw(data.cast::<B>()) };
    // A panic must not unwind into node; a drop that panics can only leak.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(owned)));
}

/// A place in a table, given back when dropped: what an instance's finalizer owns.
struct Place<T> {
    table: Rc<Table<T>>,
    place: u32,
    env: sys::napi_env,
    weight: i64,
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        drop(self.table.remove(self.place));
        adjust_memory(self.env, -self.weight);
    }
}

impl Call {
    /// Puts `object` into the table for as long as the JavaScript instance lives that is the call's first argument,
    /// and answers its place. `weight` is what it holds outside the JavaScript heap, in bytes.
    pub(crate) fn adopt<T: 'static>(self, table: &Rc<Table<T>>, io: Io, object: T, weight: usize) -> Answer {
        let ([instance], _) = self.arguments()?;
        let (table, place, weight) = (Rc::clone(table), table.insert(object), weight as i64);
        let owned = Box::into_raw(Box::new(Place { table, place, env: self.env, weight }));
        adjust_memory(self.env, weight);
        if let Err(error) = attach(self.env, instance, owned) {
            // SAFETY: no finalizer was attached, so nobody else owns the box.
            drop(unsafe { Box::from_raw(owned) });
            return Err(error.into());
        }
        io.set_word(0, place);
        Ok(Reply::Nothing)
    }
}

/// Tells the collector about memory it cannot see.
fn adjust_memory(env: sys::napi_env, bytes: i64) {
    if bytes != 0 {
        let mut total = 0;
        // SAFETY: `env` is live (Node-API allows this call in finalizers too). A failure costs only the hint.
        unsafe { sys::napi_adjust_external_memory(env, bytes, &mut total) };
    }
}
