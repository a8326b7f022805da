//! `tidegate show`: one arena, once.

use crate::args::Place;
use crate::paint::Paint;
use crate::picture::{self, Picture};
use crate::{Output, Trouble, json, text};

pub(crate) fn show(place: &Place, arena: &str, object: Option<&str>, to: &mut Output<'_>) -> Result<(), Trouble> {
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
