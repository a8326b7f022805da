//! The block of numbers shared with JavaScript: arguments in, answers out, nothing converted by Node-API.
#![allow(unsafe_code)] // It is a pointer into an ArrayBuffer.

use napi::{check_status, sys};
use std::cell::Cell;
use std::ptr::{self, NonNull};

/// The most members of a set.
pub(crate) const MEMBERS: usize = 16;
/// Numbers of a decision: allowed, limit, remaining, and the ms of retry after, reset after and delay.
pub(crate) const DECISION: usize = 6;

/// One block per environment (the main thread, each worker). `lib/native.cjs` lays typed arrays over the same bytes.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Block {
    /// Which object is meant (its place in its [`Table`](crate::raw::Table)), and three small numbers.
    words: [Cell<u32>; 4],
    numbers: [Cell<f64>; 24],
    /// A permit or a ticket: two opaque words of 64 bits.
    bits: [Cell<u64>; 2],
    /// The members of a set: at its making their places, then the decision of each.
    each: [[Cell<f64>; DECISION]; MEMBERS],
}

/// The block, as every operation gets it.
///
/// JavaScript writes arguments and calls; the callee reads them, writes its answer and returns. Nothing runs in
/// between: an environment has one thread, and neither side calls user code while it uses the block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Io(NonNull<Block>);

impl Io {
    /// Allocates the block as an `ArrayBuffer` that lives as long as the environment.
    pub(crate) fn create(env: sys::napi_env) -> napi::Result<(Self, sys::napi_value)> {
        let (mut data, mut buffer, mut keep) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: `env` is the live environment of the calling thread; the out pointers are valid for the call.
        check_status!(unsafe { sys::napi_create_arraybuffer(env, size_of::<Block>(), &mut data, &mut buffer) })?;
        // SAFETY: as above. The strong reference is never deleted, so the memory stays until the environment goes,
        // and the package's JavaScript never hands the buffer out, so nobody can detach it.
        check_status!(unsafe { sys::napi_create_reference(env, buffer, 1, &mut keep) })?;
        let data = NonNull::new(data.cast()).filter(|data: &NonNull<Block>| data.is_aligned());
        Ok((Self(data.ok_or_else(|| napi::Error::from_reason("no memory for the io block"))?), buffer))
    }

    #[inline]
    fn block(&self) -> &Block {
        // SAFETY: see `create`: zeroed by node, aligned, alive as long as the environment. Only the environment's own
        // thread touches it (Block is not Sync), through cells on this side and between calls on the other.
        unsafe { self.0.as_ref() }
    }

    /// The object that is meant.
    #[inline]
    pub(crate) fn id(self) -> u32 {
        self.block().words[0].get()
    }

    /// Small number 1..=3, in.
    #[inline]
    pub(crate) fn word(self, index: usize) -> u32 {
        self.block().words[index].get()
    }

    /// Small number 0..=3, out.
    #[inline]
    pub(crate) fn set_word(self, index: usize, value: u32) {
        self.block().words[index].set(value);
    }

    /// The yes or no of an operation.
    #[inline]
    pub(crate) fn answer(self, yes: bool) {
        self.set_word(1, u32::from(yes));
    }

    /// A number, in.
    #[inline]
    pub(crate) fn get(self, index: usize) -> f64 {
        self.block().numbers[index].get()
    }

    /// A number that JavaScript may leave unset (NaN).
    #[inline]
    pub(crate) fn option(self, index: usize) -> Option<f64> {
        Some(self.get(index)).filter(|number| !number.is_nan())
    }

    /// Numbers, out, from the first on.
    #[inline]
    pub(crate) fn set<const N: usize>(self, values: [f64; N]) {
        for (cell, value) in self.block().numbers.iter().zip(values) {
            cell.set(value);
        }
    }

    /// Numbers of a set's member, in.
    pub(crate) fn member(self, index: usize) -> [f64; DECISION] {
        self.block().each[index].each_ref().map(Cell::get)
    }

    /// The decision of a set's member, out.
    pub(crate) fn set_member(self, index: usize, values: [f64; DECISION]) {
        for (cell, value) in self.block().each[index].iter().zip(values) {
            cell.set(value);
        }
    }

    /// Both opaque words, in.
    #[inline]
    pub(crate) fn bits(self) -> [u64; 2] {
        self.block().bits.each_ref().map(Cell::get)
    }

    /// Both opaque words, out.
    #[inline]
    pub(crate) fn set_bits(self, [first, second]: [u64; 2]) {
        let [a, b] = &self.block().bits;
        a.set(first);
        b.set(second);
    }
}
