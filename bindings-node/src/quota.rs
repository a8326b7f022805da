//! Quotas, modes and ramps as `lib/quota.cjs` writes them into the block.

use crate::failure::Failure;
use crate::io::Io;
use crate::settings::{span, whole};
use tidegate::Quota;
use tidegate::config::Table;
use tidegate::limit::{LIMITER_SETTINGS, Mode, WarmUp};

/// `rate` as text, or numbers `at`: count, `at + 1`: milliseconds; `at + 2`: burst, NaN for the default.
pub(crate) fn quota(table: &Table, io: Io, at: usize, rate: Option<String>) -> Result<Quota, Failure> {
    let quota = match rate {
        Some(text) => text.parse()?,
        None => Quota::from_f64(io.get(at), span(io, at + 1, table.field("period"))?.as_secs_f64())?,
    };
    Ok(match io.option(at + 2) {
        Some(_) => quota.with_burst(whole(io, at + 2, table.field("burst"))?)?,
        None => quota,
    })
}

/// Numbers `at`: enabled (NaN: nothing was said), `at + 1`: dry run.
pub(crate) fn mode(io: Io, at: usize) -> Mode {
    Mode::of(io.option(at).map(|enabled| enabled != 0.0), io.get(at + 1) != 0.0)
}

/// Numbers `at`: milliseconds, NaN for none, `at + 1`: the fraction to start from.
pub(crate) fn warm_up(io: Io, at: usize) -> Result<Option<WarmUp>, Failure> {
    if io.option(at).is_none() {
        return Ok(None);
    }
    Ok(Some(WarmUp::new(span(io, at, LIMITER_SETTINGS.field("warm_up"))?, io.get(at + 1))?))
}
