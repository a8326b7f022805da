//! Policy files.

// `#[unsafe(no_mangle)]`.
#![allow(unsafe_code)]

use crate::breaker::tg_breaker;
use crate::bucket::tg_bucket;
use crate::concurrency::tg_concurrency;
use crate::gate::tg_gate;
use crate::handle::{Handle, In, Out};
use crate::limiter::tg_limiter;
use crate::metrics::format_of;
use crate::panic::guard_system;
use crate::queue::{Item, tg_queue};
use crate::shedder::tg_shedder;
use crate::status::{Failure, tg_status};
use std::ffi::c_char;
use tg_status::{TG_NO_MEMORY, TG_OK, TG_SYNTAX};
use tidegate_core::policy::{Policy, PolicyConfig, PolicyError};
use tidegate_core::{Clock, ConfigError};

/// The objects of a policy file, for all languages: each is made once, and who asks for it by its name gets a handle of
/// the same. TIDEGATE_SCOPE in the environment wins over the file's scope.
#[derive(Debug)]
pub struct tg_policy(Policy);

impl Handle for tg_policy {}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        let status = if error.is_no_memory() { TG_NO_MEMORY } else { TG_SYNTAX };
        Self::new(status, error.to_string())
    }
}

impl tg_policy {
    /// Of what they are is known here: shedders and gates may ask for them.
    fn make_queues(&self) -> Result<(), Failure> {
        self.0.config().queues.keys().try_for_each(|name| {
            let made = self.0.queue::<Item>(name).map(drop);
            made.map_err(|error| Failure::from(error).within(&format!("queues.{name}")))
        })
    }

    fn with_queues(policy: Policy) -> Result<Self, Failure> {
        let own = Self(policy);
        own.make_queues()?;
        Ok(own)
    }
}

/// Reads a policy file and makes its objects. Of a file with a mistake nothing is made.
///
/// Errors: TG_UTF8 (path); TG_SYNTAX (the file is wrong or cannot be read: tg_last_error_message() tells all that is, a
/// line each, "orders.toml:3:7: limits.client.rate: ..."); TG_NO_MEMORY (nothing else is wrong than that one of its
/// sizes cannot be had, which the message names); TG_CONFLICT and the like of a queue.
#[unsafe(no_mangle)]
pub extern "C" fn tg_policy_load(path: In<c_char>, policy: Out<*mut tg_policy>) -> tg_status {
    guard_system(|| {
        let path = path.text("path")?.ok_or_else(|| Failure::null("path"))?;
        policy.require("policy")?;
        policy.give(tg_policy::with_queues(Policy::load(path)?)?);
        Ok(TG_OK)
    })
}

/// tg_policy_load() of a text.
///
/// Errors: as there.
#[unsafe(no_mangle)]
pub extern "C" fn tg_policy_parse(text: In<c_char>, policy: Out<*mut tg_policy>) -> tg_status {
    guard_system(|| {
        let text = text.text("text")?.ok_or_else(|| Failure::null("text"))?;
        policy.require("policy")?;
        policy.give(tg_policy::with_queues(Policy::new(PolicyConfig::parse(text)?, Clock::monotonic())?)?);
        Ok(TG_OK)
    })
}

/// Writes all that is wrong with a policy's text as a JSON array of {"line", "column", "path", "message", "hint"},
/// lines and columns counted from 1, hint null where nothing is near; "[]" of a valid one. *length is that of the text,
/// without its NUL.
///
/// Ownership: buffer may be NULL when size is 0, to ask for the length.
/// Errors: TG_UTF8; TG_BUFFER (too few bytes; nothing is written but *length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_policy_check(text: In<c_char>, buffer: Out<c_char>, size: usize, length: Out<usize>) -> tg_status {
    guard_system(|| {
        let text = text.text("text")?.ok_or_else(|| Failure::null("text"))?;
        let told = PolicyConfig::parse(text).err().map_or_else(|| "[]".to_owned(), |error| error.to_json());
        buffer.fill_text(size, &length, &told)
    })
}

/// Writes what a policy says as JSON: each object's settings as they were written, times in nanoseconds as texts under
/// names that end in _ns. *length is that of the text, without its NUL.
///
/// Ownership: buffer may be NULL when size is 0, to ask for the length.
/// Errors: TG_BUFFER (too few bytes; nothing is written but *length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_policy_json(
    policy: In<tg_policy>,
    buffer: Out<c_char>,
    size: usize,
    length: Out<usize>,
) -> tg_status {
    guard_system(|| buffer.fill_text(size, &length, &policy.get("policy")?.0.config().to_json()))
}

/// Writes a policy as TOML with all its defaults filled in. *length is that of the text, without its NUL.
///
/// Ownership: buffer may be NULL when size is 0, to ask for the length.
/// Errors: TG_BUFFER (too few bytes; nothing is written but *length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_policy_toml(
    policy: In<tg_policy>,
    buffer: Out<c_char>,
    size: usize,
    length: Out<usize>,
) -> tg_status {
    guard_system(|| buffer.fill_text(size, &length, &policy.get("policy")?.0.config().to_toml()))
}

/// Reads the file of tg_policy_load() again and changes the objects to what it says, all or nothing: in place, with
/// their state, rates, bursts, tiers, a fixed concurrency limit up to what it was made with, the settings of breakers.
/// What is added is made; who holds what is no longer there keeps it.
///
/// Thread safety: calls on one policy wait for each other.
///
/// Errors: as tg_policy_load(); TG_SYNTAX too for changes that need a new object, and for a policy of no file. Nothing
/// is changed then.
#[unsafe(no_mangle)]
pub extern "C" fn tg_policy_reload(policy: In<tg_policy>) -> tg_status {
    guard_system(|| {
        let policy = policy.get("policy")?;
        policy.0.reload()?;
        policy.make_queues()?;
        Ok(TG_OK)
    })
}

/// Writes the figures of all objects of a policy, and of its reloads, in one of tg_metrics_format; in a named scope
/// those of all objects of its arena, with the counts of all processes. Queues are told of by tg_metrics_add_queue().
/// *length is that of the text, without its NUL.
///
/// Ownership: buffer may be NULL when size is 0, to ask for the length, which the next scrape may exceed.
/// Errors: TG_UNKNOWN_VALUE (format); TG_BUFFER (too few bytes; nothing is written but *length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_policy_metrics(
    policy: In<tg_policy>,
    format: i32,
    buffer: Out<c_char>,
    size: usize,
    length: Out<usize>,
) -> tg_status {
    guard_system(|| {
        let format = format_of(format)?;
        buffer.fill_text(size, &length, &policy.get("policy")?.0.metrics().render(format))
    })
}

/// Frees a policy; NULL is fine. Objects that were asked for go on.
#[unsafe(no_mangle)]
pub extern "C" fn tg_policy_free(policy: Out<tg_policy>) {
    guard_system(|| {
        policy.free();
        Ok(TG_OK)
    });
}

/// What `find` finds under the name.
fn found<T>(
    policy: &In<tg_policy>,
    name: &In<c_char>,
    find: impl FnOnce(&Policy, &str) -> Result<T, ConfigError>,
) -> Result<T, Failure> {
    let name = name.text("name")?.ok_or_else(|| Failure::null("name"))?;
    Ok(find(&policy.get("policy")?.0, name)?)
}

/// Gives a limit of everybody together: one without a key.
///
/// Ownership: the handle is the caller's, to be freed; the bucket is the policy's as well.
/// Errors: TG_OUT_OF_RANGE (there is none of this name); TG_CONFLICT (it is one per key); TG_UTF8.
#[unsafe(no_mangle)]
pub extern "C" fn tg_policy_bucket(policy: In<tg_policy>, name: In<c_char>, bucket: Out<*mut tg_bucket>) -> tg_status {
    guard_system(|| {
        bucket.require("bucket")?;
        bucket.give(tg_bucket(found(&policy, &name, Policy::bucket)?));
        Ok(TG_OK)
    })
}

/// Gives a limit per key.
///
/// Ownership: as of tg_policy_bucket().
/// Errors: TG_OUT_OF_RANGE (there is none of this name); TG_CONFLICT (it has no keys); TG_UTF8.
#[unsafe(no_mangle)]
pub extern "C" fn tg_policy_limiter(
    policy: In<tg_policy>,
    name: In<c_char>,
    limiter: Out<*mut tg_limiter>,
) -> tg_status {
    guard_system(|| {
        limiter.require("limiter")?;
        limiter.give(tg_limiter(found(&policy, &name, Policy::limiter)?));
        Ok(TG_OK)
    })
}

/// Gives a concurrency limit.
///
/// Ownership: as of tg_policy_bucket().
/// Errors: TG_OUT_OF_RANGE (there is none of this name); TG_UTF8.
#[unsafe(no_mangle)]
pub extern "C" fn tg_policy_concurrency(
    policy: In<tg_policy>,
    name: In<c_char>,
    concurrency: Out<*mut tg_concurrency>,
) -> tg_status {
    guard_system(|| {
        concurrency.require("concurrency")?;
        concurrency.give(tg_concurrency(found(&policy, &name, Policy::concurrency)?));
        Ok(TG_OK)
    })
}

/// Gives a queue.
///
/// Ownership: as of tg_policy_bucket().
/// Errors: TG_OUT_OF_RANGE (there is none of this name); TG_UTF8.
#[unsafe(no_mangle)]
pub extern "C" fn tg_policy_queue(policy: In<tg_policy>, name: In<c_char>, queue: Out<*mut tg_queue>) -> tg_status {
    guard_system(|| {
        queue.require("queue")?;
        queue.give(tg_queue(found(&policy, &name, Policy::queue::<Item>)?));
        Ok(TG_OK)
    })
}

/// Gives a load shedder. Loop lag is told to it: tg_shedder_tell().
///
/// Ownership: as of tg_policy_bucket().
/// Errors: TG_OUT_OF_RANGE (there is none of this name); TG_CONFLICT (in a named scope another object has its name);
/// TG_UTF8.
#[unsafe(no_mangle)]
pub extern "C" fn tg_policy_shedder(
    policy: In<tg_policy>,
    name: In<c_char>,
    shedder: Out<*mut tg_shedder>,
) -> tg_status {
    guard_system(|| {
        shedder.require("shedder")?;
        shedder.give(tg_shedder(found(&policy, &name, Policy::shedder)?));
        Ok(TG_OK)
    })
}

/// Gives a circuit breaker.
///
/// Ownership: as of tg_policy_bucket().
/// Errors: TG_OUT_OF_RANGE (there is none of this name); TG_UTF8.
#[unsafe(no_mangle)]
pub extern "C" fn tg_policy_breaker(
    policy: In<tg_policy>,
    name: In<c_char>,
    breaker: Out<*mut tg_breaker>,
) -> tg_status {
    guard_system(|| {
        breaker.require("breaker")?;
        breaker.give_shared(found(&policy, &name, Policy::breaker)?);
        Ok(TG_OK)
    })
}

/// Gives a gate. Its dependencies are numbered as the file lists them.
///
/// Ownership: as of tg_policy_bucket().
/// Errors: TG_OUT_OF_RANGE (there is none of this name); TG_CONFLICT as of tg_policy_shedder(); TG_UTF8.
#[unsafe(no_mangle)]
pub extern "C" fn tg_policy_gate(policy: In<tg_policy>, name: In<c_char>, gate: Out<*mut tg_gate>) -> tg_status {
    guard_system(|| {
        gate.require("gate")?;
        gate.give(tg_gate::of(found(&policy, &name, Policy::gate)?));
        Ok(TG_OK)
    })
}
