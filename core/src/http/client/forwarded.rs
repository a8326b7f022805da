//! `Forwarded` (RFC 7239): elements separated by commas, pairs by semicolons, values that may be quoted.

use super::{Hop, MAX_HOPS, parse_address};
use std::borrow::Cow;

/// Gives the elements of a line to `visit`, from the right, until it answers false; then so does this.
pub(super) fn walk(line: &[u8], visit: &mut impl FnMut(Hop) -> bool) -> bool {
    // Quotes can only be followed from the left, so the last elements are kept until the end is known.
    let mut last: [&[u8]; MAX_HOPS] = [&[]; MAX_HOPS];
    let mut count = 0;
    let mut rest = line;
    loop {
        let Some(end) = unquoted(rest, b',') else {
            // An unclosed quote: nobody knows where the last element began.
            return visit(Hop::Opaque);
        };
        last[count % MAX_HOPS] = &rest[..end];
        count += 1;
        if end == rest.len() {
            break;
        }
        rest = &rest[end + 1..];
    }
    // Beyond MAX_HOPS `visit` answers false by itself, so the places that were used twice are never asked for.
    (0..count.min(MAX_HOPS)).all(|back| visit(hop(last[(count - 1 - back) % MAX_HOPS].trim_ascii())))
}

/// Where the first `wanted` outside quotes stands, else the length; `None` when a quote is never closed.
fn unquoted(text: &[u8], wanted: u8) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (index, &byte) in text.iter().enumerate() {
        if escaped {
            escaped = false;
        } else if quoted {
            escaped = byte == b'\\';
            quoted = byte != b'"';
        } else if byte == wanted {
            return Some(index);
        } else {
            quoted = byte == b'"';
        }
    }
    (!quoted).then_some(text.len())
}

fn hop(element: &[u8]) -> Hop {
    if element.is_empty() {
        return Hop::Empty;
    }
    identifier(element).and_then(|node| parse_address(&node)).map_or(Hop::Opaque, Hop::Address)
}

/// The value of the one `for` in an element; `None` when there is none, or two, or a pair is malformed.
///
/// Unquoted values may hold colons and brackets, which the grammar would have quoted: many proxies do not.
fn identifier(mut element: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut found = None;
    loop {
        let end = unquoted(element, b';')?;
        let pair = element[..end].trim_ascii();
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let value = value(&pair[equals + 1..])?;
        if pair[..equals].eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
            return None;
        }
        if end == element.len() {
            return found;
        }
        element = &element[end + 1..];
    }
}

/// A token as it is, or a quoted string without its quotes and escapes (RFC 9110 section 5.6.4).
fn value(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let bad = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'"';
        return (!text.is_empty() && !text.iter().any(bad)).then_some(text.into());
    };
    // `unquoted` has found the end: only an escape can make the last quote another than the closing one.
    let inside = quoted.strip_suffix(b"\"")?;
    if !inside.iter().any(|byte| b"\\\"".contains(byte)) {
        return Some(inside.into());
    }
    let mut plain = Vec::with_capacity(inside.len());
    let mut bytes = inside.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => plain.push(*bytes.next()?),
            b'"' => return None,
            _ => plain.push(byte),
        }
    }
    Some(plain.into())
}
