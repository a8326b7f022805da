//! The model and the implementation, side by side.

use proptest::test_runner::TestCaseError;
use serde::Serialize;
use std::fmt::Debug;
use tidegate_model::format::{Ns, Step, Subject, expectation};

/// Both are given the same operations and must give the same answers.
pub(crate) struct Pair<M: Subject, C> {
    model: M,
    core: C,
    config: String,
    start: u64,
    /// What was done so far, in the vectors' format: a failure can be copied into a vector.
    story: Vec<Step<M::Op>>,
}

impl<M, C> Pair<M, C>
where
    M: Subject,
    M::Config: Serialize,
    M::Op: Serialize,
    M::Answer: Debug,
    C: Subject<Config = M::Config, Op = M::Op, Answer = M::Answer>,
{
    pub(crate) fn new(config: &M::Config, start: u64) -> Self {
        let text = serde_json::to_string(config).expect("plain data");
        Self { model: M::make(config, start), core: C::make(config, start), config: text, start, story: Vec::new() }
    }

    /// Does `op` to both and compares; the answer when they agree.
    pub(crate) fn step(&mut self, now: u64, op: M::Op) -> Result<M::Answer, TestCaseError> {
        let answer = self.model.apply(now, &op);
        let from_core = self.core.apply(now, &op);
        self.story.push(Step { at_ns: Ns(now), op, expect: expectation(&answer) });
        if answer == from_core {
            return Ok(answer);
        }
        let story: Vec<_> = self.story.iter().map(|step| serde_json::to_string(step).expect("plain data")).collect();
        Err(TestCaseError::fail(format!(
            "the implementation answers {from_core:?}\nto the last step of\n\"start_ns\": \"{}\", \"config\": {}, \
             \"steps\": [\n{}]",
            self.start,
            self.config,
            story.join(",\n"),
        )))
    }
}
