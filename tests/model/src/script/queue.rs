//! Bounded queue.

use crate::format::{Ns, Subject};
use crate::queue::{Pop, Push, Queue};
use serde::{Deserialize, Serialize};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Config {
    pub capacity: usize,
    pub high_watermark: f64,
    pub low_watermark: f64,
    pub on_full: OnFull,
    pub sojourn: bool,
}

/// What a push onto a full queue does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the format's README documents the values")]
pub enum OnFull {
    Reject,
    DropOldest,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", content = "args", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the operations")]
pub enum Op {
    TryPush { item: i64 },
    TryPop {},
    Depth {},
    IsAccepting {},
    Close {},
    Drain {},
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the format's README documents the answers")]
pub enum Answer {
    Pushed {
        result: &'static str,
        dropped: Option<i64>,
    },
    Popped {
        result: &'static str,
        item: Option<i64>,
        /// Only of a queue that measures it, and only with an item.
        #[serde(skip_serializing_if = "Option::is_none")]
        sojourn_ns: Option<Ns>,
    },
    Depth {
        depth: usize,
    },
    Accepting {
        accepting: bool,
    },
    Items {
        items: Vec<i64>,
    },
    Nothing {},
}

impl Answer {
    /// A push that was taken.
    pub fn pushed(dropped: Option<i64>) -> Self {
        Self::Pushed { result: "ok", dropped }
    }

    /// A push that was refused: `"full"` or `"closed"`.
    pub fn refused(result: &'static str) -> Self {
        Self::Pushed { result, dropped: None }
    }

    /// An item, and how long it waited where that is measured.
    pub fn popped(item: i64, sojourn_ns: Option<u64>) -> Self {
        Self::Popped { result: "item", item: Some(item), sojourn_ns: sojourn_ns.map(Ns) }
    }

    /// No item: `"empty"` or `"closed"`.
    pub fn nothing_to_pop(result: &'static str) -> Self {
        Self::Popped { result, item: None, sojourn_ns: None }
    }
}

/// The model and whether its answers tell the sojourn.
#[derive(Debug)]
pub struct ModelQueue {
    queue: Queue,
    sojourn: bool,
}

impl Subject for ModelQueue {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, _start: u64) -> Self {
        let drop_oldest = config.on_full == OnFull::DropOldest;
        let queue = Queue::new(config.capacity, config.high_watermark, config.low_watermark, drop_oldest);
        Self { queue, sojourn: config.sojourn }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        match op {
            Op::TryPush { item } => match self.queue.try_push(now, *item) {
                Push::Taken(dropped) => Answer::pushed(dropped),
                Push::Full => Answer::refused("full"),
                Push::Closed => Answer::refused("closed"),
            },
            Op::TryPop {} => match self.queue.try_pop(now) {
                Pop::Item(item, sojourn) => Answer::popped(item, self.sojourn.then_some(sojourn)),
                Pop::Empty => Answer::nothing_to_pop("empty"),
                Pop::Closed => Answer::nothing_to_pop("closed"),
            },
            Op::Depth {} => Answer::Depth { depth: self.queue.depth() },
            Op::IsAccepting {} => Answer::Accepting { accepting: self.queue.is_accepting() },
            Op::Close {} => {
                self.queue.close();
                Answer::Nothing {}
            }
            Op::Drain {} => Answer::Items { items: self.queue.drain() },
        }
    }
}
