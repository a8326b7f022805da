//! Bounded queue.

use crate::format::{Ns, Subject};
use crate::queue::{Pop, Push, Queue, Reason, Rules};
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<RulesConfig>,
}

/// Settings beyond first in, first out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct RulesConfig {
    pub discipline: Discipline,
    pub target_ns: Ns,
    pub interval_ns: Ns,
    pub lanes: usize,
    pub max_age_ns: Option<Ns>,
}

/// The order of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the format's README documents the values")]
pub enum Discipline {
    Fifo,
    Codel,
    AdaptiveLifo,
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
    TryPushWith { item: i64, lane: usize, deadline_ns: Option<Ns> },
    TryPop {},
    Load {},
    Counts {},
    Discard {},
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
        /// What was dropped before it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        drops: Vec<Drop>,
    },
    Load {
        least_delay_ns: Option<Ns>,
        overloaded: bool,
    },
    Counts {
        popped: u64,
        oldest: u64,
        age: u64,
        codel: u64,
        deadline: u64,
        closed: u64,
    },
    Dropped {
        drops: Vec<Drop>,
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

/// An item that was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the format's README documents the answers")]
pub struct Drop {
    pub item: i64,
    pub reason: Reason,
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
        Self::Popped { result: "item", item: Some(item), sojourn_ns: sojourn_ns.map(Ns), drops: Vec::new() }
    }

    /// No item: `"empty"` or `"closed"`.
    pub fn nothing_to_pop(result: &'static str) -> Self {
        Self::Popped { result, item: None, sojourn_ns: None, drops: Vec::new() }
    }

    /// A pop's answer with what was dropped before.
    #[must_use]
    pub fn after(mut self, dropped: Vec<(i64, Reason)>) -> Self {
        if let Self::Popped { drops, .. } = &mut self {
            *drops = listed(dropped);
        }
        self
    }

    /// What was dropped.
    pub fn dropped(dropped: Vec<(i64, Reason)>) -> Self {
        Self::Dropped { drops: listed(dropped) }
    }
}

fn listed(dropped: Vec<(i64, Reason)>) -> Vec<Drop> {
    dropped.into_iter().map(|(item, reason)| Drop { item, reason }).collect()
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
        let rules = config.rules.as_ref().map_or_else(Rules::default, |rules| Rules {
            codel: rules.discipline != Discipline::Fifo,
            lifo: rules.discipline == Discipline::AdaptiveLifo,
            target: rules.target_ns.0,
            interval: rules.interval_ns.0,
            lanes: rules.lanes,
            max_age: rules.max_age_ns.map_or(u64::MAX, |age| age.0),
        });
        let queue = Queue::new(config.capacity, config.high_watermark, config.low_watermark, drop_oldest, rules);
        Self { queue, sojourn: config.sojourn }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        match op {
            Op::TryPush { item } => pushed(self.queue.try_push(now, *item, 0, u64::MAX)),
            Op::TryPushWith { item, lane, deadline_ns } => {
                let due = deadline_ns.map_or(u64::MAX, |deadline| now + deadline.0);
                pushed(self.queue.try_push(now, *item, *lane, due))
            }
            Op::TryPop {} => {
                let mut drops = Vec::new();
                let answer = match self.queue.try_pop(now, &mut drops) {
                    Pop::Item(item, sojourn) => Answer::popped(item, self.sojourn.then_some(sojourn)),
                    Pop::Empty => Answer::nothing_to_pop("empty"),
                    Pop::Closed => Answer::nothing_to_pop("closed"),
                };
                answer.after(drops)
            }
            Op::Load {} => {
                let (least, overloaded) = self.queue.load();
                Answer::Load { least_delay_ns: least.map(Ns), overloaded }
            }
            Op::Counts {} => {
                let dropped = |reason| self.queue.counts(reason).1;
                Answer::Counts {
                    popped: self.queue.counts("oldest").0,
                    oldest: dropped("oldest"),
                    age: dropped("age"),
                    codel: dropped("codel"),
                    deadline: dropped("deadline"),
                    closed: dropped("closed"),
                }
            }
            Op::Discard {} => Answer::dropped(self.queue.discard().into_iter().map(|item| (item, "closed")).collect()),
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

fn pushed(push: Push) -> Answer {
    match push {
        Push::Taken(dropped) => Answer::pushed(dropped),
        Push::Full => Answer::refused("full"),
        Push::Closed => Answer::refused("closed"),
    }
}
