//! The HTTP manners, which are the core's, for ASGI.

pub(crate) mod access;
pub(crate) mod answer;
pub(crate) mod client;
pub(crate) mod overload;
pub(crate) mod policies;
pub(crate) mod problem;
pub(crate) mod taken;
