//! `tidegate show`: one arena, once.

use super::args::Place;
use super::paint::Paint;
use super::picture::{self, Picture};
use super::{Output, Trouble, json, text};

pub(super) fn show(place: &Place, arena: &str, object: Option<&str>, to: &mut Output<'_>) -> Result<(), Trouble> {
    let picture = Picture::take(&picture::open(&place.options(arena))?, object)?;
    if place.json {
        writeln!(to.out, "{:#}", json::picture(&picture, None))?;
    } else {
        text::picture(&picture, None, Paint::of(to), to.out)?;
    }
    let damaged = picture.objects.iter().find_map(|seen| Some((&seen.info.name, seen.face.as_ref().err()?)));
    match damaged {
        None => Ok(()),
        Some((name, error)) => Err(Trouble::Said(format!("{name:?} is damaged: {error}"))),
    }
}
