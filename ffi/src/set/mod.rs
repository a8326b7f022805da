//! Several limits as one decision.

// `#[unsafe(no_mangle)]`, `unsafe impl Plain` for a struct of pointers.
#![allow(unsafe_code)]

pub mod decide;

use crate::bucket::tg_bucket;
use crate::handle::{Handle, In, Out, Plain};
use crate::limiter::tg_limiter;
use crate::panic::{guard, guard_system};
use crate::status::{Failure, tg_status};
use std::ffi::{CString, c_char};
use std::fmt;
use std::sync::Arc;
use tg_status::{TG_CONFLICT, TG_OK, TG_OUT_OF_RANGE};
use tidegate_core::LimitSet;
use tidegate_core::limit::Member;

/// Several limits over different keys (user, address, endpoint, everybody), decided all or nothing.
pub struct tg_limit_set {
    pub(crate) set: Arc<LimitSet>,
    /// As C reads them.
    names: Box<[CString]>,
}

impl Handle for tg_limit_set {}

impl fmt::Debug for tg_limit_set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.set.fmt(f)
    }
}

/// One limit of a set: a name, and either a bucket (one for everybody: takes no key) or a limiter (one per key).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_limit_member {
    /// Not empty, and no other member's. Copied.
    pub name: In<c_char>,
    /// NULL when limiter is set. Shared.
    pub bucket: In<tg_bucket>,
    /// NULL when bucket is set. Shared.
    pub limiter: In<tg_limiter>,
}

// SAFETY: pointers only, which are NULL or good by the header's law.
unsafe impl Plain for tg_limit_member {}

impl tg_limit_member {
    fn checked(&self) -> Result<(CString, (String, Member)), Failure> {
        let name = self.name.text("name")?.ok_or_else(|| Failure::null("name"))?;
        let member = match (self.bucket.get_or_none(), self.limiter.get_or_none()) {
            (Some(bucket), None) => Member::Bucket(Arc::clone(&bucket.0)),
            (None, Some(limiter)) => Member::Keyed(Arc::clone(&limiter.0)),
            _ => {
                let message = format!("members: {name:?} needs either a bucket or a limiter; set one of them");
                return Err(Failure::new(TG_CONFLICT, message));
            }
        };
        // A text from C holds no NUL.
        Ok((CString::new(name).unwrap_or_default(), (name.to_owned(), member)))
    }
}

/// Makes one decision of several limits, in this order. Bucket and limiter stay in use by themselves: what they admit
/// alone and what the set admits is charged to one and the same state.
///
/// Errors: TG_UTF8 (a name), TG_CONFLICT (no member, or more than 16; both or neither of bucket and limiter; a name
/// twice, or an empty one; different clocks).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limit_set_new(
    members: In<tg_limit_member>,
    member_count: usize,
    set: Out<*mut tg_limit_set>,
) -> tg_status {
    guard_system(|| {
        let members = members.array(member_count, "members")?;
        set.require("set")?;
        let members = members.iter().map(tg_limit_member::checked).collect::<Result<Vec<_>, _>>()?;
        let (names, members): (Vec<_>, Vec<_>) = members.into_iter().unzip();
        set.give(tg_limit_set { set: Arc::new(LimitSet::new(members)?), names: names.into() });
        Ok(TG_OK)
    })
}

/// Frees a set; NULL is fine. Its buckets and limiters go on.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limit_set_free(set: Out<tg_limit_set>) {
    guard_system(|| {
        set.free();
        Ok(TG_OK)
    });
}

/// Tells how many members it has.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limit_set_len(set: In<tg_limit_set>, members: Out<usize>) -> tg_status {
    guard(|| {
        let set = set.get("set")?;
        members.require("members")?;
        members.set(set.names.len());
        Ok(TG_OK)
    })
}

/// Tells the name of the member at place (from 0, in the order of tg_limit_set_new()), such as a denied_by.
///
/// Ownership: *name is the set's, good until tg_limit_set_free().
/// Errors: TG_OUT_OF_RANGE (place).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limit_set_name(set: In<tg_limit_set>, place: i32, name: Out<*const c_char>) -> tg_status {
    guard(|| {
        let names = &set.get("set")?.names;
        name.require("name")?;
        let found = usize::try_from(place).ok().and_then(|place| names.get(place)).ok_or_else(|| {
            let message = format!("place: {place}, but this set has {} members, numbered from 0", names.len());
            Failure::new(TG_OUT_OF_RANGE, message)
        })?;
        name.set(found.as_ptr());
        Ok(TG_OK)
    })
}
