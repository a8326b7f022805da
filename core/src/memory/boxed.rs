//! Memory of one process that is as large as a setting of the caller's asks for.

use crate::ConfigError;
use crate::setting::Field;
use std::collections::TryReserveError;

/// As many values as `sized_by` asks for: too many are an error that names it, never an abort.
pub(crate) fn boxed<V>(sized_by: &Field, len: u64, make: impl FnMut(u64) -> V) -> Result<Box<[V]>, ConfigError> {
    let places = usize::try_from(len).unwrap_or(usize::MAX);
    let mut all = Vec::new();
    let refused = |error: TryReserveError| {
        ConfigError::no_memory(Some(sized_by.name), places, size_of::<V>(), &error.to_string())
    };
    all.try_reserve_exact(places).map_err(refused)?;
    all.extend((0..len).map(make));
    Ok(all.into_boxed_slice())
}
