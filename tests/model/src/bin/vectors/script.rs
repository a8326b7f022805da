//! Writes one case: operations in order, each answered by the model.

use serde::Serialize;
use serde_json::Value;
use tidegate_model::format::{Case, File, Ns, Step, Subject, expectation};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const S: u64 = 1_000 * MS;
pub(crate) const MIN: u64 = 60 * S;

/// When every case starts: not 0, so that a binding that mixes up its epochs is caught.
pub(crate) const START: u64 = 5_000 * S;

/// A case in the making.
pub(crate) struct Script<M: Subject> {
    model: M,
    case: Case<M::Config, M::Op>,
    now: u64,
}

impl<M: Subject> Script<M>
where
    M::Op: Clone + Serialize,
{
    pub(crate) fn new(name: &str, why: &str, config: M::Config) -> Self {
        let model = M::make(&config, START);
        let case = Case { name: name.into(), why: why.into(), start_ns: Ns(START), config, steps: Vec::new() };
        Self { model, case, now: START }
    }

    /// Sets the clock to `ns` after the start.
    pub(crate) fn at(mut self, ns: u64) -> Self {
        self.now = START + ns;
        self
    }

    /// Moves the clock on by `ns`.
    pub(crate) fn after(mut self, ns: u64) -> Self {
        self.now += ns;
        self
    }

    /// Moves the clock back by `ns`.
    pub(crate) fn back(mut self, ns: u64) -> Self {
        self.now -= ns;
        self
    }

    pub(crate) fn then(mut self, op: M::Op) -> Self {
        let answer = self.model.apply(self.now, &op);
        self.case.steps.push(Step { at_ns: Ns(self.now), op, expect: expectation(&answer) });
        self
    }

    /// The same operation `times` times.
    pub(crate) fn times(self, times: u32, op: &M::Op) -> Self {
        (0..times).fold(self, |script, _| script.then(op.clone()))
    }

    /// Operations from a generator that sees the step's number.
    pub(crate) fn each(self, range: std::ops::Range<u32>, step: impl FnMut(Self, u32) -> Self) -> Self {
        range.fold(self, step)
    }

    /// What the last operation answered.
    pub(crate) fn last_answer(&self) -> &Value {
        &self.case.steps.last().expect("something was done").expect
    }

    pub(crate) fn end(self) -> Case<M::Config, M::Op> {
        self.case
    }
}

pub(crate) fn file<C, O>(primitive: &str, cases: Vec<Case<C, O>>) -> File<C, O> {
    let mut names: Vec<_> = cases.iter().map(|case| &case.name).collect();
    names.sort();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "names are unique in a file");
    File { version: 1, primitive: primitive.into(), cases }
}
