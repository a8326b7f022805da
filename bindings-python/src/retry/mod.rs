//! Retries, from the ground up: `schedule` (when another attempt is made), `budget`, `throttle`. The loops are in
//! `tidegate/_retry.py`.

pub(crate) mod budget;
pub(crate) mod schedule;
pub(crate) mod throttle;
