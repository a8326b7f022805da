//! `tidegate show`: one arena, once.

use crate::args::Place;
use crate::paint::Paint;
use crate::snapshot::{self, Snapshot};
use crate::{CliError, Output, json, text};

pub(crate) fn show(place: &Place, arena: &str, object: Option<&str>, to: &mut Output<'_>) -> Result<(), CliError> {
    let snapshot = Snapshot::take(&snapshot::open(&place.options(arena))?, object)?;
    if place.json {
        writeln!(to.out, "{:#}", json::snapshot(&snapshot, None))?;
    } else {
        text::snapshot(&snapshot, None, Paint::of(to), to.out)?;
    }
    let damaged = snapshot.objects.iter().find_map(|seen| Some((&seen.info.name, seen.view.as_ref().err()?)));
    match damaged {
        None => Ok(()),
        Some((name, error)) => Err(CliError::Message(format!("{name:?} is damaged: {error}"))),
    }
}
