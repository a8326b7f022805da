//! `X-Forwarded-For`: addresses separated by commas.

use super::{Hop, parse_address};

/// Gives the entries of a line to `visit`, from the right, until it answers false; then so does this.
pub(super) fn walk(line: &[u8], visit: &mut impl FnMut(Hop) -> bool) -> bool {
    line.rsplit(|&byte| byte == b',').all(|entry| visit(hop(entry.trim_ascii())))
}

fn hop(entry: &[u8]) -> Hop {
    if entry.is_empty() { Hop::Empty } else { parse_address(entry).map_or(Hop::Opaque, Hop::Address) }
}
