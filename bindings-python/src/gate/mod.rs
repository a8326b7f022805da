//! `Gate`: all parts as one decision, and the admission that gives back what a call holds.

pub(crate) mod admission;
mod methods;
mod object;
pub(crate) mod verdict;

pub(crate) use object::Gate;
