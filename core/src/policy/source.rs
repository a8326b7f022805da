//! The text of a policy: its places, and what the environment puts into it.

use crate::error::shortened;
use std::ops::Range;

/// A text by lines.
pub(super) struct Source<'t> {
    text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        Self { text, lines: lines.collect() }
    }

    /// Line and column of a byte, counted from 1; of characters.
    pub(super) fn place(&self, at: usize) -> (u32, u32) {
        let at = (0..=at.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        let line = self.lines.partition_point(|start| *start <= at).max(1) - 1;
        let before = &self.text[self.lines[line]..at];
        ((line + 1) as u32, (before.chars().count() + 1) as u32)
    }

    pub(super) fn text_of(&self, span: Range<usize>) -> &'t str {
        self.text.get(span).unwrap_or_default()
    }
}

/// The most bytes that one text has after something was put into it.
pub(super) const MOST_EXPANDED: usize = 1 << 16;

/// What a variable of the environment says.
pub(super) type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// `text` with `${NAME}` and `${NAME:-default}` put in; `$$` is a dollar. The second: whether something was.
pub(super) fn expanded(text: &str, environment: Environment<'_>) -> Result<(String, bool), String> {
    let (mut made, mut rest, mut any) = (String::with_capacity(text.len()), text, false);
    // Before it is built: a small file may ask for more than there is memory for.
    let put = |made: &mut String, value: &str| {
        if made.len() + value.len() > MOST_EXPANDED {
            return Err(format!("is too long once expanded; a text has at most {MOST_EXPANDED} bytes then"));
        }
        made.push_str(value);
        Ok(())
    };
    while let Some((before, after)) = rest.split_once('$') {
        made.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            made.push('$');
            rest = after;
            continue;
        }
        let Some(after) = rest.strip_prefix('{') else {
            made.push('$');
            continue;
        };
        let how = "write ${NAME} or ${NAME:-default}, and $$ for a dollar";
        let (inner, after) = after.split_once('}').ok_or_else(|| format!("\"${{\" has no end; {how}"))?;
        let (name, default) = inner.split_once(":-").map_or((inner, None), |(name, default)| (name, Some(default)));
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(letters) {
            return Err(format!("{:?} is not a variable's name; {how}", shortened(name)));
        }
        match (environment(name).filter(|value| !value.is_empty()), default) {
            (Some(value), _) => put(&mut made, &value)?,
            (None, Some(default)) => put(&mut made, default)?,
            (None, None) => {
                let name = shortened(name);
                return Err(format!("{name} is not set in the environment; set it, or write ${{{name}:-default}}"));
            }
        }
        rest = after;
        any = true;
    }
    made.push_str(rest);
    Ok((made, any))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_characters() {
        let source = Source::new("aé\r\nb\n\nlast");
        assert_eq!(
            [0, 1, 2, 3, 5, 6, 7, 8, 11, 12, 99].map(|at| source.place(at)),
            [(1, 1), (1, 2), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1), (4, 1), (4, 4), (4, 5), (4, 5)]
        );
        assert_eq!(Source::new("").place(0), (1, 1));
    }

    #[test]
    fn variables_are_put_in() {
        let environment = |name: &str| match name {
            "RATE" => Some("5/s".to_owned()),
            "EMPTY" => Some(String::new()),
            "DEEP" => Some("${RATE}".to_owned()),
            _ => None,
        };
        let of = |text| expanded(text, &environment);
        for (text, is) in [
            ("${RATE}", "5/s"),
            ("a ${RATE:-1/s} b", "a 5/s b"),
            ("${NONE:-1/s}", "1/s"),
            ("${EMPTY:-x}${NONE:-}", "x"),
            ("$$ $${RATE} $5 $", "$ ${RATE} $5 $"),
            ("${DEEP}", "${RATE}"),
        ] {
            assert_eq!(of(text).map(|it| it.0), Ok(is.to_owned()), "{text}");
        }
        for text in ["${NONE}", "${EMPTY}", "${RATE", "${}", "${1A}", "${A B}", "${NONE-x}"] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
