//! The readings of late threads.

use proptest::prelude::*;

const S: u64 = 1_000_000_000;

/// How the clock of a late thread moves, in thousandths of what the limit takes to come back as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Late {
    Stay,
    Forward(u64),
    /// Up to two and a half periods.
    Back(u64),
    /// By many epochs of the table.
    FarBack(u64),
    FarForward(u64),
    /// To the latest reading there was: what late threads did must have minted nothing there.
    Latest,
}

pub(crate) fn late() -> impl Strategy<Value = Late> {
    prop_oneof![
        8 => Just(Late::Stay),
        8 => (0..2_500_u64).prop_map(Late::Forward),
        6 => (0..2_500_u64).prop_map(Late::Back),
        2 => (0..2_000_u64).prop_map(Late::FarBack),
        2 => (0..2_000_u64).prop_map(Late::FarForward),
        3 => Just(Late::Latest),
    ]
}

/// The readings of threads of which some are late, by less than what tells that the clock has stepped back: a minute of
/// readings, all of them more than a minute behind.
pub(crate) struct Readings {
    now: u64,
    start: u64,
    pub(crate) latest: u64,
    /// The first that was so far behind.
    doubt: Option<u64>,
}

impl Readings {
    pub(crate) fn from(start: u64) -> Self {
        Self { now: start, start, latest: start, doubt: None }
    }

    /// `unit`: what the limit takes to come back as a whole.
    pub(crate) fn next(&mut self, unit: u64, late: Late) -> u64 {
        let part = |thousandths: u64| (u128::from(unit) * u128::from(thousandths) / 1_000) as u64;
        let next = match late {
            Late::Stay => self.now,
            Late::Forward(thousandths) => self.now + part(thousandths),
            Late::Back(thousandths) => self.now.saturating_sub(part(thousandths)),
            Late::FarBack(units) => self.now.saturating_sub(units.saturating_mul(unit)),
            Late::FarForward(units) => self.now.saturating_add(units.saturating_mul(unit)),
            Late::Latest => self.latest,
        };
        let next = next.max(self.start);
        self.latest = self.latest.max(next);
        self.now = if self.latest - next <= 60 * S {
            next
        } else {
            let doubt = self.doubt.map_or(next, |first| first.min(next));
            self.doubt = Some(doubt);
            doubt + (next - doubt) % (60 * S)
        };
        self.now
    }
}
