//! Rate limits.

pub(crate) mod block;
pub(crate) mod bucket;
pub(crate) mod cluster;
pub(crate) mod decision;
pub(crate) mod key;
pub(crate) mod keyed;
pub(crate) mod quota;
pub(crate) mod set;
