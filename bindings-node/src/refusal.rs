//! What the refusals in `lib/errors.cjs` say: the core's texts.

use crate::convert::duration;
use crate::io::Io;
use crate::raw::{Answer, Call, Kind};
use std::time::Duration;
use tidegate::decision::NEVER;
use tidegate::refusal::{Again, Refusal};

/// Milliseconds of JavaScript, where `Infinity` is "never".
fn nanoseconds(ms: f64) -> u64 {
    // `as` saturates, and 0 stands for what is no number.
    if ms == f64::INFINITY { NEVER } else { (ms * 1e6).round() as u64 }
}

/// Who refused what, as a text; the wait is number 0, the timeout number 1. The error itself says when to try again.
pub(crate) fn refused(call: Call, io: Io, refusal: Refusal<'_>) -> Answer {
    let timeout: Option<Duration> = io.option(1).filter(|ms| ms.is_finite()).map(duration);
    call.string(&refusal.retry_after_ns(nanoseconds(io.get(0))).within(timeout).subject().to_string())
}

/// Exports the texts that no object makes. Number 0 is the wait in milliseconds.
pub(crate) fn export(kind: &Kind<()>) -> napi::Result<()> {
    kind.operation("tryAgain", |_, io, call| call.string(&Again(nanoseconds(io.get(0))).to_string()))?
        // The calls, the failed and the slow ones are numbers 1 to 3, whether it ramps number 4, its name a text.
        .operation("circuit", |_, io, call| {
            let [name] = call.texts(1)?;
            let [calls, failed, slow] = [1, 2, 3].map(|at| io.get(at) as u32);
            let refusal = Refusal::of_circuit(calls, failed, slow).ramping(io.get(4) != 0.0).named(name.as_deref());
            call.string(&refusal.retry_after_ns(nanoseconds(io.get(0))).to_string())
        })?;
    Ok(())
}
