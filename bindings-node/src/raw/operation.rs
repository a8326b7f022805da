//! How an operation becomes a JavaScript function: one plain Node-API function for all instances of a kind.
#![allow(unsafe_code)] // Node-API is a C interface.

use super::call::{Answer, Call, Reply};
use super::external::attach;
use super::throw::{panic_text, throw};
use crate::failure::Failure;
use crate::io::Io;
use crate::table::Table;
use napi::{check_status, sys};
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

struct Operation<T, F> {
    table: Rc<Table<T>>,
    io: Io,
    run: F,
}

/// An object under construction in JavaScript: `exports.<kind>.<operation>`.
pub(crate) struct Kind<T> {
    env: sys::napi_env,
    object: sys::napi_value,
    table: Rc<Table<T>>,
    io: Io,
}

impl<T: 'static> Kind<T> {
    /// An empty namespace of operations on `table`, set on `exports` as `name`.
    pub(crate) fn new(
        env: sys::napi_env,
        exports: sys::napi_value,
        name: &str,
        table: Rc<Table<T>>,
        io: Io,
    ) -> napi::Result<Self> {
        Ok(Self { env, object: namespace(env, exports, name)?, table, io })
    }

    /// Adds an operation. A panic in it becomes a JavaScript `Error`.
    pub(crate) fn operation<F>(&self, name: &str, run: F) -> napi::Result<&Self>
    where
        F: Fn(&Rc<Table<T>>, Io, Call) -> Answer + 'static,
    {
        self.add::<F, 0>(name, run)
    }

    /// Adds an operation that [`Call::with_key`] gives its first argument: node hands it over with the call itself,
    /// which costs less than asking for it.
    pub(crate) fn keyed<F>(&self, name: &str, run: F) -> napi::Result<&Self>
    where
        F: Fn(&Rc<Table<T>>, Io, Call) -> Answer + 'static,
    {
        self.add::<F, 1>(name, run)
    }

    fn add<F, const FETCHED: usize>(&self, name: &str, run: F) -> napi::Result<&Self>
    where
        F: Fn(&Rc<Table<T>>, Io, Call) -> Answer + 'static,
    {
        let operation = Box::into_raw(Box::new(Operation { table: Rc::clone(&self.table), io: self.io, run }));
        let mut function = ptr::null_mut();
        // SAFETY: `env` is live, the empty name is allowed, and the finalizer below frees `operation`.
        let made = check_status!(unsafe {
            let (callback, data) = (Some(trampoline::<T, F, FETCHED> as Callback), operation.cast());
            sys::napi_create_function(self.env, ptr::null(), 0, callback, data, &mut function)
        });
        let made = made.and_then(|()| attach(self.env, function, operation));
        if let Err(error) = made {
            // SAFETY: no finalizer was attached, so nobody else owns the box.
            drop(unsafe { Box::from_raw(operation) });
            return Err(error);
        }
        set_property(self.env, self.object, name, function)?;
        Ok(self)
    }
}

type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

unsafe extern "C" fn trampoline<T, F, const FETCHED: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value
where
    F: Fn(&Rc<Table<T>>, Io, Call) -> Answer,
{
    let (mut count, mut arguments, mut data) = (FETCHED, [ptr::null_mut(); FETCHED], ptr::null_mut());
    let (count, into): (*mut usize, _) = match FETCHED {
        0 => (ptr::null_mut(), ptr::null_mut()),
        _ => (&mut count, arguments.as_mut_ptr()),
    };
    // SAFETY: node calls this with a live environment and call; unwanted outputs may be null, and there is room for
    // FETCHED arguments.
    unsafe { sys::napi_get_cb_info(env, info, count, into, ptr::null_mut(), &mut data) };
    let call = Call { env, info, first: arguments.first().copied().unwrap_or(ptr::null_mut()) };
    // SAFETY: `data` is the operation given to napi_create_function; its finalizer runs only when the function that is
    // being called here is unreachable, and nothing hands out a unique reference to it.
    let operation = unsafe { &*data.cast::<Operation<T, F>>() };
    match catch_unwind(AssertUnwindSafe(|| (operation.run)(&operation.table, operation.io, call))) {
        Ok(Ok(Reply::Nothing)) => ptr::null_mut(),
        Ok(Ok(Reply::Value(value))) => value,
        Ok(Err(failure)) => throw(env, failure),
        Err(panic) => throw(env, Failure::Internal(panic_text(&*panic))),
    }
}

/// An empty object, set on `object` as `name`.
pub(crate) fn namespace(env: sys::napi_env, object: sys::napi_value, name: &str) -> napi::Result<sys::napi_value> {
    let mut made = ptr::null_mut();
    // SAFETY: `env` is live and the out pointer valid.
    check_status!(unsafe { sys::napi_create_object(env, &mut made) })?;
    set_property(env, object, name, made)?;
    Ok(made)
}

/// Sets a property of the exports.
pub(crate) fn set_property(
    env: sys::napi_env,
    object: sys::napi_value,
    name: &str,
    value: sys::napi_value,
) -> napi::Result<()> {
    let name = CString::new(name)?;
    // SAFETY: both values belong to the current scope and the name is NUL-terminated.
    check_status!(unsafe { sys::napi_set_named_property(env, object, name.as_ptr(), value) })
}
