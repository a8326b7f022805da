//! The shape of a vector file, and the traits that play one.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use std::fmt::Write;

/// Nanoseconds: a decimal string in JSON, whose numbers do not hold a u64; `u64::MAX` is `"never"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ns(pub u64);

impl Serialize for Ns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            u64::MAX => serializer.serialize_str("never"),
            ns => serializer.serialize_str(&ns.to_string()),
        }
    }
}

impl<'de> Deserialize<'de> for Ns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "never" => Ok(Self(u64::MAX)),
            digits => digits.parse().map(Self).map_err(de::Error::custom),
        }
    }
}

/// One vector file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File<C, O> {
    /// Of the format: 1.
    pub version: u32,
    /// `token_bucket`, `circuit_breaker`, `bounded_queue`, `concurrency_limiter`, `adaptive_limiter`,
    /// `partitioned_limiter`, `rate_limiter`, `limit_set`, `retry_policy`, `retry_budget`, `client_throttle`,
    /// `load_shedder` or `gate`.
    pub primitive: String,
    /// Each stands alone.
    pub cases: Vec<Case<C, O>>,
}

/// One object and what is done to it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case<C, O> {
    /// Unique in its file.
    pub name: String,
    /// What would be broken if it failed.
    pub why: String,
    /// When the object is made.
    pub start_ns: Ns,
    /// What it is made with.
    pub config: C,
    /// In order.
    pub steps: Vec<Step<O>>,
}

/// One operation and its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step<O> {
    /// What the clock is set to before.
    pub at_ns: Ns,
    /// `op` and `args`.
    #[serde(flatten)]
    pub op: O,
    /// The answer.
    pub expect: Value,
}

/// An object that a script can be played on: a model, or the implementation behind an adapter.
pub trait Subject {
    /// What it is made with.
    type Config;
    /// What can be done to it.
    type Op;
    /// What it answers.
    type Answer: Serialize + PartialEq + std::fmt::Debug;

    /// A new object at `start` nanoseconds.
    fn make(config: &Self::Config, start: u64) -> Self;

    /// Does `op` at `now` nanoseconds.
    fn apply(&mut self, now: u64, op: &Self::Op) -> Self::Answer;
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

/// The answer as a vector file holds it.
pub fn expectation<A: Serialize>(answer: &A) -> Value {
    serde_json::to_value(answer).expect("answers are plain data")
}

impl<C: Serialize, O: Serialize> File<C, O> {
    /// The file's text, one step a line, so that a difference reads well.
    pub fn render(&self) -> String {
        let mut out =
            format!("{{\n\"version\": {},\n\"primitive\": {},\n\"cases\": [", self.version, json(&self.primitive));
        for (i, case) in self.cases.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(
                out,
                "{comma}\n{{\n \"name\": {},\n \"why\": {},\n \"start_ns\": {},\n \"config\": {},\n \"steps\": [",
                json(&case.name),
                json(&case.why),
                json(&case.start_ns),
                json(&case.config),
            )
            .expect("a String takes everything");
            for (j, step) in case.steps.iter().enumerate() {
                out.push_str(if j == 0 { "\n  " } else { ",\n  " });
                out.push_str(&json(step));
            }
            out.push_str("\n ]\n}");
        }
        out.push_str("\n]\n}\n");
        out
    }
}
