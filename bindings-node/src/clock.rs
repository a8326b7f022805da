//! Manual clocks. A constructor names its clock by its place in this table; 0 is the machine's monotonic clock.

use crate::convert::duration;
use crate::failure::Failure;
use crate::io::Io;
use crate::raw::{Kind, Reply};
use crate::table::Table;
use tidegate::{Clock, ManualClock};

/// A clock of the table.
pub(crate) enum Entry {
    System,
    Manual(ManualClock),
}

impl Entry {
    fn clock(&self) -> Clock {
        match self {
            Self::System => Clock::monotonic(),
            Self::Manual(manual) => Clock::from(manual),
        }
    }
}

/// The place of the machine's clock.
pub(crate) const SYSTEM: u32 = 0;

/// The clock that a constructor asks for.
pub(crate) fn chosen(clocks: &Table<Entry>, io: Io) -> Result<Clock, Failure> {
    clocks.with(io, Entry::clock)
}

/// A table that holds the machine's clock.
pub(crate) fn table() -> Table<Entry> {
    let clocks = Table::new();
    clocks.insert(Entry::System);
    clocks
}

/// The operations of `ManualClock` in `lib/clock.cjs`.
pub(crate) fn export(kind: &Kind<Entry>) -> napi::Result<()> {
    kind.operation("create", |clocks, io, call| {
        let [start_ns, _] = io.bits();
        call.adopt(clocks, io, Entry::Manual(ManualClock::new(start_ns)), 0)
    })?
    .operation("now", |clocks, io, _| {
        let clock = chosen(clocks, io)?;
        io.set_bits([clock.now(), 0]);
        Ok(Reply::Nothing)
    })?
    .operation("advance", |clocks, io, _| {
        clocks.with(io, |entry| {
            if let Entry::Manual(manual) = entry {
                manual.advance(duration(io.get(0)));
            }
        })?;
        Ok(Reply::Nothing)
    })?
    .operation("set", |clocks, io, _| {
        clocks.with(io, |entry| {
            if let Entry::Manual(manual) = entry {
                manual.set(io.bits()[0]);
            }
        })?;
        Ok(Reply::Nothing)
    })?;
    Ok(())
}
