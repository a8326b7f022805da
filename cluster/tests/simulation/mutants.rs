//! Each safeguard of the script, and the script without it.

use crate::world::{Fault, Mode};

/// A safeguard that is taken out: what it is, where its lack shows, and what stands where in its place. Both texts of a
/// pair are single places of the script.
pub(crate) struct Mutant {
    pub(crate) name: &'static str,
    pub(crate) mode: Mode,
    pub(crate) fault: Fault,
    /// A history that catches it.
    pub(crate) hint: u64,
    changes: &'static [(&'static str, &'static str)],
}

impl Mutant {
    /// The script without the safeguard.
    pub(crate) fn script(&self) -> String {
        self.changes.iter().fold(tidegate_cluster::SYNC.to_owned(), |script, (from, to)| {
            assert_eq!(script.matches(from).count(), 1, "{}: the script has no single {from:?}", self.name);
            script.replace(from, to)
        })
    }
}

const fn script(hint: u64, name: &'static str, mode: Mode, changes: &'static [(&'static str, &'static str)]) -> Mutant {
    Mutant { name, mode, fault: Fault::None, hint, changes }
}

const fn host(hint: u64, name: &'static str, fault: Fault) -> Mutant {
    Mutant { name, mode: Mode::Plain, fault, hint, changes: &[] }
}

/// Two steps are not here, because without them the law still holds: a clock that stepped back would cost tokens
/// (tested on its own), and a host that is not told to drop what the store does not know finds it ended by its own
/// clock.
pub(crate) const MUTANTS: &[Mutant] = &[
    script(
        20,
        "an old state of another run is believed",
        Mode::Plain,
        &[("off = 0; birth = raw; en = en + 1", "off = 0; if not ev[1] then birth = raw; en = en + 1 end")],
    ),
    script(
        2,
        "what was forgotten was full",
        Mode::Plain,
        &[("rem, ts, O, D, xm, A, C, xl, mine = 0, 0, birth", "rem, ts, O, D, xm, A, C, xl, mine = B, 0, birth")],
    ),
    script(
        457,
        "no quarantine",
        Mode::Plain,
        &[("local quarantine = birth > 0 and now < birth + L", "local quarantine = false")],
    ),
    script(
        701,
        "no room for leases of the epoch before",
        Mode::Plain,
        &[("if birth > 0 and ts < birth + L then", "if false then")],
    ),
    script(
        8,
        "no late",
        Mode::Local,
        &[
            ("if not rebase then return", "if false then return"),
            ("if now > tprev + emax then", "if rebase and now > tprev + emax then"),
        ],
    ),
    script(14, "a leap of the clock is believed", Mode::Clock, &[("if now > tprev + emax then", "if false then")]),
    script(103, "time that no host saw counts", Mode::Clock, &[("if ts > 0 and tprev > ts + L then", "if false then")]),
    script(173, "no seq", Mode::Plain, &[(">= seq then return { 'old'", ">= seq and false then return { 'old'")]),
    script(
        6,
        "what expired was not spent",
        Mode::Plain,
        &[("O = O - o; D = D - d; C = C - 1", "O = O - o; lv = lv + o; D = D - d; C = C - 1")],
    ),
    script(
        0,
        "what fills is not held to what was free meanwhile",
        Mode::Plain,
        &[("clamp(B - O0 - (F > 0 and math.min(N, A0) * bf or 0))\n", "\n")],
    ),
    script(
        0,
        "refills to the burst, whatever hosts hold",
        Mode::Plain,
        &[("clamp(B - O0 - ", "clamp(B - 0 - "), ("clamp(B - O - held - ", "clamp(B - 0 - ")],
    ),
    script(0, "what was spent comes back", Mode::Plain, &[("myO - held - (spent - mySpent)", "myO - held")]),
    script(1, "no reserve of the shares' rate", Mode::Local, &[("math.min(N, Adt + gdt) or 0\n", "0 or 0\n")]),
    script(
        1,
        "no reserve of the shares' bursts",
        Mode::Local,
        &[
            ("(F > 0 and math.min(N, A0) * bf or 0)", "0"),
            ("clamp(B - O1 - peak - math.min(N, A0 + gdt) * bf)", "clamp(B - O1)"),
            ("(F > 0 and math.min(N, A + ghost) * bf or 0)", "0"),
        ],
    ),
    script(
        432,
        "the bursts of shares that began and ended unseen are free",
        Mode::Local,
        &[("peak - math.min(N, A0 + gdt) * bf", "math.min(N, A + gdt) * bf")],
    ),
    script(
        5_459,
        "what a lease held that ended unseen is free before it ended",
        Mode::Local,
        &[("math.max(o, bf)", "bf")],
    ),
    script(
        9,
        "nobody was forgotten",
        Mode::Local,
        &[("if F > 0 and birth > 0 and ts < birth + L + F then", "if false then")],
    ),
    host(28, "the deadline counts from the answer", Fault::DeadlineFromAnswer),
    host(1, "what goes back can still be spent", Fault::NothingLowered),
    host(3, "a successor has forgotten what was spent", Fault::ForgetsTheAccount),
    host(3, "a grant is kept after it can be spent", Fault::KeepsAfterwards),
];
