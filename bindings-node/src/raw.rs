//! The unsafe policy of this package, once for all: how an operation becomes a JavaScript function, and how a native
//! object follows its JavaScript instance to the grave.
#![allow(unsafe_code)] // Node-API is a C interface.

use crate::failure::Failure;
use crate::io::Io;
use crate::key::Key;
use crate::table::Table;
use napi::{check_status, sys};
use std::any::Any;
use std::ffi::{CString, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

/// What an operation returns; everything but arrays goes through the io block.
pub(crate) type Answer = Result<Reply, Failure>;

/// The JavaScript value an operation returns.
pub(crate) enum Reply {
    /// `undefined`.
    Nothing,
    /// An array or a text.
    Value(sys::napi_value),
}

/// The call in progress, for the operations that take a key or a text, or make something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    env: sys::napi_env,
    info: sys::napi_callback_info,
    /// The first argument of a keyed operation, null in others.
    first: sys::napi_value,
}

/// The most keys of one call.
const KEYS: usize = 16;

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
        let mut object = ptr::null_mut();
        // SAFETY: `env` is live and the out pointer valid.
        check_status!(unsafe { sys::napi_create_object(env, &mut object) })?;
        set_property(env, exports, name, object)?;
        Ok(Self { env, object, table, io })
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

/// The most lists that a call takes.
const LISTS: usize = 2;

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

/// Frees the box behind `data` when `owner` is collected or the environment goes.
fn attach<B>(env: sys::napi_env, owner: sys::napi_value, data: *mut B) -> napi::Result<()> {
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

    /// The first N arguments, missing ones `undefined`, and how many there were.
    fn arguments<const N: usize>(self) -> napi::Result<([sys::napi_value; N], usize)> {
        let (mut count, mut arguments) = (N, [ptr::null_mut(); N]);
        // SAFETY: the call is in progress, there is room for N arguments, and node fills missing ones with `undefined`.
        check_status!(unsafe {
            let (this, data) = (ptr::null_mut(), ptr::null_mut());
            sys::napi_get_cb_info(self.env, self.info, &mut count, arguments.as_mut_ptr(), this, data)
        })?;
        Ok((arguments, count))
    }

    /// Runs `f` on the key that is the call's first argument.
    #[inline]
    pub(crate) fn with_key<R>(self, f: impl FnOnce(&[u8]) -> Result<R, Failure>) -> Result<R, Failure> {
        let mut key = Key::EMPTY;
        key.read(self.env, self.first)?;
        f(key.bytes())
    }

    /// Runs `f` on the keys that are the call's arguments, at most [`KEYS`].
    pub(crate) fn with_keys<R>(self, f: impl FnOnce(&[&[u8]]) -> Result<R, Failure>) -> Result<R, Failure> {
        let (values, count) = self.arguments::<KEYS>()?;
        let mut keys = [const { Key::EMPTY }; KEYS];
        let mut bytes: [&[u8]; KEYS] = [&[]; KEYS];
        let count = count.min(KEYS);
        for ((key, value), bytes) in keys.iter_mut().zip(&values[..count]).zip(&mut bytes) {
            key.read(self.env, *value)?;
            *bytes = key.bytes();
        }
        f(&bytes[..count])
    }

    /// The call's second argument as text; `None` unless it is a string. Lone surrogates become U+FFFD.
    pub(crate) fn text(self) -> napi::Result<Option<String>> {
        let ([_, argument], _) = self.arguments()?;
        self.text_of(argument)
    }

    /// The call's second and third argument as text.
    pub(crate) fn texts(self) -> napi::Result<[Option<String>; 2]> {
        let ([_, second, third], _) = self.arguments()?;
        Ok([self.text_of(second)?, self.text_of(third)?])
    }

    /// The call's arguments after the first as texts, at most [`KEYS`].
    pub(crate) fn names(self) -> napi::Result<Vec<String>> {
        let (values, count) = self.arguments::<{ KEYS + 1 }>()?;
        let values = values.get(1..count.min(KEYS + 1)).unwrap_or_default();
        values.iter().map(|value| Ok(self.text_of(*value)?.unwrap_or_default())).collect()
    }

    /// The N arguments after the first as lists of texts, and the one after them as a text, empty where there is none.
    pub(crate) fn lists_and_text<const N: usize>(self) -> napi::Result<([Vec<String>; N], String)> {
        let (values, _) = self.arguments::<{ LISTS + 2 }>()?;
        let mut lists = [const { Vec::new() }; N];
        for (list, array) in lists.iter_mut().zip(&values[1..=LISTS]) {
            *list = self.list_of(*array)?;
        }
        Ok((lists, self.text_of(values[1 + N])?.unwrap_or_default()))
    }

    /// The texts of an array; JavaScript has checked that it is one and holds nothing else.
    fn list_of(self, array: sys::napi_value) -> napi::Result<Vec<String>> {
        let mut len = 0;
        // SAFETY: `array` is a value of this call; another kind of value is refused.
        check_status!(unsafe { sys::napi_get_array_length(self.env, array, &mut len) })?;
        let element = |index| {
            let mut value = ptr::null_mut();
            // SAFETY: as above.
            check_status!(unsafe { sys::napi_get_element(self.env, array, index, &mut value) })?;
            Ok(self.text_of(value)?.unwrap_or_default())
        };
        (0..len).map(element).collect()
    }

    /// Replies with a text.
    pub(crate) fn string(self, text: &str) -> Answer {
        let mut value = ptr::null_mut();
        // SAFETY: the environment is live, the text has `len` bytes of UTF-8, and the out pointer is valid.
        check_status!(unsafe {
            sys::napi_create_string_utf8(self.env, text.as_ptr().cast(), text.len() as isize, &mut value)
        })?;
        Ok(Reply::Value(value))
    }

    fn text_of(self, argument: sys::napi_value) -> napi::Result<Option<String>> {
        let mut kind = 0;
        // SAFETY: `argument` is a value of this call.
        check_status!(unsafe { sys::napi_typeof(self.env, argument, &mut kind) })?;
        if kind != sys::ValueType::napi_string {
            return Ok(None);
        }
        let mut len = 0;
        // SAFETY: a null buffer asks for the length alone.
        check_status!(unsafe { sys::napi_get_value_string_utf8(self.env, argument, ptr::null_mut(), 0, &mut len) })?;
        let mut bytes = vec![0_u8; len + 1];
        // SAFETY: the buffer has room for `len` bytes and the terminator.
        check_status!(unsafe {
            let buffer = bytes.as_mut_ptr().cast();
            sys::napi_get_value_string_utf8(self.env, argument, buffer, bytes.len(), &mut len)
        })?;
        bytes.truncate(len);
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Replies with an array of numbers.
    pub(crate) fn array(self, numbers: &[f64]) -> Answer {
        let mut array = ptr::null_mut();
        // SAFETY: the environment is live and the out pointer valid.
        check_status!(unsafe { sys::napi_create_array_with_length(self.env, numbers.len(), &mut array) })?;
        for (index, number) in (0..).zip(numbers) {
            let mut value = ptr::null_mut();
            // SAFETY: as above.
            check_status!(unsafe { sys::napi_create_double(self.env, *number, &mut value) })?;
            // SAFETY: both values belong to this call's scope.
            check_status!(unsafe { sys::napi_set_element(self.env, array, index, value) })?;
        }
        Ok(Reply::Value(array))
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

#[cold]
fn throw(env: sys::napi_env, failure: Failure) -> sys::napi_value {
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
        Failure::Node(error) => internal(format!("Node-API: {}", error.reason)),
        Failure::Internal(what) => internal(format!("internal error, please report it: {what}")),
    }
    ptr::null_mut()
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref().cloned());
    text.unwrap_or_else(|| "panic without a message".to_owned())
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
