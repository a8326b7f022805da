//! A line about a field in the words of each language.

use super::{Field, Kind, Stats};
use tidegate::config::{C, Dialect, NODE, PYTHON, TABLES};

/// How a language says what core's lines say.
pub(super) struct Words {
    pub(super) dialect: Dialect,
    /// What core's nanoseconds are here.
    unit: &'static str,
    nothing: &'static str,
    never: &'static str,
    /// Whether names are marked.
    is_marked: bool,
}

pub(super) const IN_C: Words =
    Words { dialect: C, unit: "nanoseconds", nothing: "TG_NEVER", never: "TG_NEVER", is_marked: false };
pub(super) const IN_PYTHON: Words =
    Words { dialect: PYTHON, unit: "seconds", nothing: "None", never: "math.inf", is_marked: true };
pub(super) const IN_NODE: Words =
    Words { dialect: NODE, unit: "milliseconds", nothing: "undefined", never: "Infinity", is_marked: true };

impl Words {
    /// The line about a field; about one of its counts where it has one for each name.
    pub(super) fn about(&self, stats: &Stats, field: &Field, one: Option<&(&str, String)>) -> String {
        let about = self.said(stats, field, &field.about);
        match (&field.kind, one) {
            (Kind::Duration | Kind::MaybeDuration, _) => format!("{about} In {}.", self.unit),
            (_, Some((name, of))) => {
                let name = if self.is_marked { format!("`{name}`") } else { (*name).to_owned() };
                format!("{}: {name}. {}", about.trim_end_matches('.'), self.said(stats, field, of))
            }
            _ => about,
        }
    }

    /// The text about them all.
    pub(super) fn heading(&self, stats: &Stats) -> String {
        let nothing = Field { name: String::new(), place: String::new(), kind: Kind::Real, about: String::new() };
        self.said(stats, &nothing, &stats.about)
    }

    fn said(&self, stats: &Stats, field: &Field, text: &str) -> String {
        let text = match text.strip_prefix("Nanoseconds ") {
            Some(rest) => format!("{}{} {rest}", self.unit[..1].to_uppercase(), &self.unit[1..]),
            None => text.to_owned(),
        };
        let mark = if self.is_marked { "`" } else { "" };
        let parts = text.split('`').enumerate().map(|(at, part)| match at % 2 {
            0 => part.to_owned(),
            _ => format!("{mark}{}{mark}", self.code(stats, field, part)),
        });
        unlinked(&parts.collect::<String>())
    }

    /// A name or an expression of core's.
    fn code(&self, stats: &Stats, field: &Field, code: &str) -> String {
        let nothing = if field.kind == Kind::Trip && self.dialect.language == "node" { "null" } else { self.nothing };
        match code {
            "None" => return nothing.to_owned(),
            "NEVER" => return self.never.to_owned(),
            _ => {}
        }
        let words = code.split(' ').map(|word| {
            let field = stats.fields.iter().find(|field| field.name == word).map(|field| field.kind.is_span());
            let setting = || TABLES.iter().find_map(|table| table.fields.iter().find(|field| field.name == word));
            match (field, setting) {
                (Some(is_span), _) => name(&self.dialect, word, is_span),
                (None, setting) => setting().map_or_else(|| word.to_owned(), |setting| setting.name(&self.dialect)),
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

/// `[reasons](DropReason)` as `reasons`.
pub(super) fn unlinked(text: &str) -> String {
    let Some((before, rest)) = text.split_once('[') else { return text.to_owned() };
    match rest.split_once("](").and_then(|(words, rest)| Some((words, rest.split_once(')')?.1))) {
        Some((words, after)) => format!("{before}{words}{}", unlinked(after)),
        None => text.to_owned(),
    }
}

/// A field as a language's callers write it.
pub(super) fn name(dialect: &Dialect, name: &str, is_span: bool) -> String {
    match (dialect.language, is_span) {
        ("node", true) => camel(name) + "Ms",
        ("node", false) => camel(name),
        ("c", true) => format!("{name}_ns"),
        _ => name.to_owned(),
    }
}

pub(super) fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |camel, part| camel + &part[..1].to_uppercase() + &part[1..])
}
