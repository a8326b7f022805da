//! `tidegate ls`: the arenas of a directory.

use crate::args::Place;
use crate::json::add;
use crate::table::Column::{Left, Right};
use crate::table::Table;
use crate::{CliError, Output, units};
use serde_json::{Value, json};
use tidegate::Arena;
use tidegate::arena::{ArenaError, ArenaErrorKind, ArenaFile, LAYOUT_VERSION};

/// What can be said of a file.
struct Entry {
    file: ArenaFile,
    state: State,
}

enum State {
    Fine(Inside),
    /// Of a layout that another version of tidegate knows.
    OtherLayout,
    /// What is in it means nothing any more.
    OtherBoot,
    Error(ArenaError),
}

struct Inside {
    used: u64,
    objects: usize,
    alive: usize,
    created_ns: u64,
}

pub(crate) fn ls(place: &Place, to: &mut Output<'_>) -> Result<(), CliError> {
    let files = Arena::list_where(&place.options("any"))?;
    let entries: Vec<Entry> = files.into_iter().map(|file| Entry { state: look(place, &file), file }).collect();
    if place.json {
        let list: Vec<Value> = entries.iter().map(Entry::json).collect();
        return Ok(writeln!(to.out, "{:#}", json!({ "arenas": list }))?);
    }
    if entries.is_empty() {
        return Ok(writeln!(to.out, "no arenas in {}", Arena::directory(&place.options("any")).display())?);
    }
    let mut table = Table::new(&[
        Left("ARENA"),
        Right("LAYOUT"),
        Right("SIZE"),
        Right("USED"),
        Right("OBJECTS"),
        Right("PROCESSES"),
        Left("CREATED"),
    ]);
    entries.iter().for_each(|entry| entry.row(&mut table));
    Ok(table.write(to.out)?)
}

fn look(place: &Place, file: &ArenaFile) -> State {
    if file.version != LAYOUT_VERSION {
        return State::OtherLayout;
    }
    match Arena::inspect(&place.options(&file.name)) {
        Ok(arena) => State::Fine(Inside {
            used: arena.used() as u64,
            objects: arena.objects().len(),
            alive: arena.members().iter().filter(|member| member.alive).count(),
            created_ns: arena.created_ns(),
        }),
        // The file is there, so it is not of this boot.
        Err(error) if error.kind() == ArenaErrorKind::Removed => State::OtherBoot,
        Err(error) => State::Error(error),
    }
}

impl Entry {
    fn row(&self, table: &mut Table) {
        let file = &self.file;
        let known = match &self.state {
            State::Fine(inside) => [
                units::bytes(inside.used),
                inside.objects.to_string(),
                inside.alive.to_string(),
                units::ago(inside.created_ns),
            ],
            _ => ["-", "-", if file.in_use { "some" } else { "0" }, "-"].map(str::to_owned),
        };
        let [used, objects, alive, created] = known;
        let layout = file.version.to_string();
        table.row([file.name.clone(), layout, units::bytes(file.bytes), used, objects, alive, created]);
        match &self.state {
            State::Fine(_) => {}
            State::OtherLayout => table.note("of another version of tidegate: look at it with that one's command"),
            State::OtherBoot => table.note("of another boot of the machine: replaced as soon as it is opened"),
            State::Error(error) => table.note(error.message()),
        }
    }

    fn json(&self) -> Value {
        let file = &self.file;
        let mut value = json!({
            "name": file.name,
            "layout": file.version,
            "path": file.path.to_string_lossy(),
            "bytes": file.bytes,
            "in_use": file.in_use,
        });
        let more = match &self.state {
            State::Fine(inside) => json!({
                "state": "ok",
                "used_bytes": inside.used,
                "objects": inside.objects,
                "processes": inside.alive,
                "created_s": units::seconds(inside.created_ns),
            }),
            State::OtherLayout => json!({ "state": "other_layout" }),
            State::OtherBoot => json!({ "state": "other_boot" }),
            State::Error(error) => json!({ "state": error.kind().name(), "error": error.message() }),
        };
        add(&mut value, more);
        value
    }
}
