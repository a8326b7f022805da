//! `tidegate top`: one arena, again and again, with what happened since.

use crate::args::Place;
use crate::paint::Paint;
use crate::snapshot::{self, Snapshot};
use crate::terminal::Screen;
use crate::{CliError, Output, json, text};
use std::time::Duration;

pub(crate) fn top(
    place: &Place,
    name: &str,
    interval: Duration,
    count: Option<u64>,
    to: &mut Output<'_>,
) -> Result<(), CliError> {
    let options = place.options(name);
    let mut arena = snapshot::open(&options)?;
    let mut before: Option<Snapshot> = None;
    let mut screen = (to.terminal && !place.json).then(Screen::open).flatten();
    let paint = Paint::of(to);
    for number in 1.. {
        let linked = arena.is_linked();
        if !linked || (arena.is_read_only() && number > 1) {
            // Removed and made anew: its users went on to the new one. Or a copy, to which nothing happens.
            arena = snapshot::open(&options)?;
            before = before.filter(|_| linked);
        }
        let snapshot = Snapshot::take(&arena, None)?;
        let last = before.as_ref().unwrap_or(&snapshot);
        if place.json {
            writeln!(to.out, "{}", json::snapshot(&snapshot, Some(last)))?;
        } else {
            let mut page = Vec::new();
            text::snapshot(&snapshot, Some(last), paint, &mut page)?;
            match &screen {
                Some(screen) => screen.draw(&String::from_utf8_lossy(&page), interval, to.out)?,
                None if number > 1 => write!(to.out, "\n{}", String::from_utf8_lossy(&page))?,
                None => to.out.write_all(&page)?,
            }
        }
        to.out.flush()?;
        before = Some(snapshot);
        if count == Some(number) {
            break;
        }
        let enough = match &mut screen {
            Some(screen) => screen.wait(interval)?,
            None => {
                std::thread::sleep(interval);
                false
            }
        };
        if enough {
            break;
        }
    }
    Ok(())
}
