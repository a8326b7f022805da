//! The manners of a limit that speaks HTTP: whose request it is, and what a client is told.

pub mod access;
pub mod answer;
pub mod client;
pub mod fields;
pub mod problem;
pub mod ratelimit_status;
