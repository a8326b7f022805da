//! Quotas, modes and ramps as `lib/quota.cjs` writes them into the block.

use crate::convert::duration;
use crate::failure::Failure;
use crate::io::Io;
use tidegate::Quota;
use tidegate::limit::{Mode, WarmUp};

/// `rate` as text, or numbers `at`: count, `at + 1`: milliseconds; `at + 2`: burst, NaN for the default.
pub(crate) fn quota(io: Io, at: usize, rate: Option<String>) -> Result<Quota, Failure> {
    let quota = match rate {
        Some(text) => text.parse()?,
        None => Quota::from_f64(io.get(at), io.get(at + 1) / 1e3)?,
    };
    Ok(match io.option(at + 2) {
        Some(burst) => quota.with_burst(burst as u64)?,
        None => quota,
    })
}

/// Numbers `at`: enabled (NaN: nothing was said), `at + 1`: dry run.
pub(crate) fn mode(io: Io, at: usize) -> Mode {
    Mode::of(io.option(at).map(|enabled| enabled != 0.0), io.get(at + 1) != 0.0)
}

/// Numbers `at`: milliseconds, NaN for none, `at + 1`: the fraction to start from.
pub(crate) fn warm_up(io: Io, at: usize) -> Result<Option<WarmUp>, Failure> {
    Ok(io.option(at).map(|period| WarmUp::new(duration(period), io.get(at + 1))).transpose()?)
}
