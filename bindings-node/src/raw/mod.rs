//! The unsafe policy of this package, once for all.
//!
//! | file | idea |
//! |---|---|
//! | `operation.rs` | how an operation becomes a JavaScript function |
//! | `call.rs` | what a call brings along, and what it gives back |
//! | `external.rs` | how a native object follows its JavaScript instance to the grave |
//! | `throw.rs` | how a failure becomes an exception |

mod call;
mod external;
mod operation;
mod throw;

pub(crate) use call::{Answer, Call, Reply};
pub(crate) use operation::{Kind, namespace, set_property};
