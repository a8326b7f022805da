//! `tidegate rm`: away with an arena, or with a name in one.

use crate::args::Place;
use crate::snapshot::{self, no_object};
use crate::{CliError, Output, units};
use serde_json::json;
use tidegate::Arena;
use tidegate::arena::{ArenaErrorKind, ArenaFile, HostConfig, LAYOUT_VERSION, MemberInfo};

pub(crate) fn rm(
    place: &Place,
    arena: &str,
    object: Option<&str>,
    force: bool,
    to: &mut Output<'_>,
) -> Result<(), CliError> {
    match object {
        None => file(place, arena, force, to),
        Some(object) => name(place, arena, object, force, to),
    }
}

fn file(place: &Place, arena: &str, force: bool, to: &mut Output<'_>) -> Result<(), CliError> {
    let options = place.options(arena);
    let file = find(&options)?;
    let holders = Holders::of(&options, &file);
    if let (Some(holders), false) = (&holders, force) {
        return Err(CliError::Message(format!(
            "the arena {arena:?} is in use by {}; stop them first, or say --force: they go on in what was removed, by \
             themselves, and whoever opens it from then on (a restarted worker as well) begins a new one",
            holders.shown()
        )));
    }
    let removed = Arena::unlink(&options)?;
    let Some(removed) = removed else {
        return Err(CliError::Message(format!("the arena {arena:?} was removed by somebody else meanwhile")));
    };
    if place.json {
        let value = json!({ "arena": arena, "path": removed.path.to_string_lossy(), "was_in_use": removed.in_use });
        return Ok(writeln!(to.out, "{value:#}")?);
    }
    writeln!(to.out, "removed the arena {arena:?}: {}, {}", removed.path.display(), units::bytes(removed.bytes))?;
    if removed.in_use {
        let who = holders.map_or("processes that came meanwhile".to_owned(), |holders| holders.shown());
        writeln!(to.err, "tidegate: still in the removed arena, by themselves until they are restarted: {who}")?;
    }
    Ok(())
}

fn name(place: &Place, arena: &str, name: &str, force: bool, to: &mut Output<'_>) -> Result<(), CliError> {
    let options = place.options(arena);
    let opened = snapshot::open(&options)?;
    let objects = opened.objects();
    if objects.iter().all(|object| object.name != name) {
        return Err(CliError::Message(no_object(&opened, name, &objects)));
    }
    let alive: Vec<MemberInfo> = opened.members().into_iter().filter(|member| member.alive).collect();
    if !alive.is_empty() && !force {
        return Err(CliError::Message(format!(
            "the arena {arena:?}, and so perhaps {name:?}, is in use by {}; stop them first, or say --force: who has \
             {name:?} open goes on with it, and whoever opens that name from then on begins a new one",
            Holders::Known(alive).shown()
        )));
    }
    if !opened.remove(name)? {
        return Err(CliError::Message(format!("{name:?} was removed by somebody else meanwhile")));
    }
    if place.json {
        let value = json!({ "arena": arena, "name": name, "was_in_use": !alive.is_empty() });
        return Ok(writeln!(to.out, "{value:#}")?);
    }
    Ok(writeln!(to.out, "removed {name:?} from the arena {arena:?}; its bytes are not given out again")?)
}

/// The file of this layout.
fn find(options: &HostConfig) -> Result<ArenaFile, CliError> {
    let mut files = Arena::list_where(options)?;
    files.retain(|file| file.name == options.name);
    match files.iter().position(|file| file.version == LAYOUT_VERSION) {
        Some(found) => Ok(files.swap_remove(found)),
        None => Err(CliError::Message(snapshot::missing(options))),
    }
}

/// Living processes that have an arena open.
enum Holders {
    Known(Vec<MemberInfo>),
    /// The arena cannot be opened to ask who they are.
    Some(String),
}

impl Holders {
    /// `None`: nobody.
    fn of(options: &HostConfig, file: &ArenaFile) -> Option<Self> {
        if !file.in_use {
            return None;
        }
        match Arena::inspect(options) {
            Ok(arena) => {
                let alive: Vec<_> = arena.members().into_iter().filter(|member| member.alive).collect();
                // They may have gone since.
                (!alive.is_empty()).then_some(Self::Known(alive))
            }
            Err(error) if error.kind() == ArenaErrorKind::Removed => None,
            Err(error) => Some(Self::Some(error.message().to_owned())),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Known(members) => {
                let one = |member: &MemberInfo| {
                    format!(
                        "pid {} (slot {}, for {})",
                        member.pid,
                        member.slot,
                        units::span(units::age_ns(member.since_ns))
                    )
                };
                members.iter().map(one).collect::<Vec<_>>().join(", ")
            }
            Self::Some(why) => format!("processes that it does not name ({why})"),
        }
    }
}
