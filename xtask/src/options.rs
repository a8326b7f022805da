//! The settings and names within `index.d.ts` and `_tidegate.pyi`: names, types, defaults and a line about each,
//! between a line `<settings TABLE NAME …>` and a line `</settings>`. Names are the table's own, all of it where there
//! are none; `NAME!` must be given there although the table does not ask for it, and `NAME?` has its default only
//! beside another. `<changes TABLE>` and `<members TABLE>` are the same without a word, of what may be changed.
//! `<stats OBJECT>` … `</stats>` is what such an object counts, `<names LIST TYPE>` … `</names>` the type of a list of
//! core's texts.

use crate::stats::Stats;
use std::error::Error;
use std::path::{Path, PathBuf};
use tidegate::config::{Dialect, Field, Kind, NODE, PYTHON, Preset, TABLES, names};

/// No line is longer.
pub(crate) const MOST: usize = 120;
const SECOND_NS: u64 = 1_000_000_000;
const YEAR_NS: u64 = 365 * 24 * 60 * 60 * SECOND_NS;

/// What Python calls a whole number, another and a span of time.
const PYTHON_NUMBERS: [&str; 3] = ["int", "float", "_Seconds"];

/// A language whose types are generated.
struct Language {
    file: &'static str,
    comment: &'static str,
    dialect: Dialect,
    /// Settings whose type has a name, or is more than a number: the type, and whether it may be nothing.
    types: &'static [(&'static str, &'static str)],
    /// A type of one of these texts.
    texts: fn(&str, &[&str]) -> String,
    /// One setting.
    write: fn(&Language, &Field, Need, &str) -> Vec<String>,
    /// What one kind of object counts.
    stats: fn(&Stats, &str) -> Vec<String>,
}

/// Whether a setting must be given.
#[derive(Clone, Copy, PartialEq)]
enum Need {
    Required,
    Default,
    /// Its default holds only beside another setting.
    DefaultBeside,
}

const LANGUAGES: [Language; 2] = [
    Language {
        file: "bindings-node/index.d.ts",
        comment: "//",
        dialect: NODE,
        types: &[("algorithm=token_bucket", "Algorithm"), ("fastest", "KeyedQuota | string | number")],
        texts: union,
        write: property,
        stats: crate::stats::interface,
    },
    Language {
        file: "bindings-python/python/tidegate/_tidegate.pyi",
        comment: "#",
        dialect: PYTHON,
        types: &[("algorithm=token_bucket", "_Algorithm"), ("fastest", "str | float | tuple[str | float, int]")],
        texts: literal,
        write: parameter,
        stats: crate::stats::stub,
    },
];

/// The files, and what they have to hold.
pub(crate) fn files(root: &Path) -> Result<Vec<(PathBuf, String)>, Box<dyn Error>> {
    let stats = crate::stats::all(root)?;
    LANGUAGES.iter().map(|language| file(&root.join(language.file), language, &stats)).collect()
}

fn file(path: &Path, language: &Language, stats: &[Stats]) -> Result<(PathBuf, String), Box<dyn Error>> {
    let mut text = String::new();
    let committed = std::fs::read_to_string(path)?;
    let mut lines = committed.lines();
    while let Some(line) = lines.next() {
        text += &format!("{line}\n");
        let indent = &line[..line.len() - line.trim_start().len()];
        let marker = line.trim_start().strip_prefix(language.comment).and_then(|rest| rest.trim().strip_prefix('<'));
        let Some((kind, what)) = marker.and_then(|rest| rest.strip_suffix('>')?.split_once(' ')) else { continue };
        for line in generated(language, stats, kind, what, indent)? {
            text += &format!("{indent}{line}\n");
        }
        let end = format!("{} </{kind}>", language.comment);
        let close = lines.by_ref().find(|line| line.trim_start() == end);
        text += &format!("{}\n", close.ok_or_else(|| format!("{}: `{line}` does not end", path.display()))?);
    }
    Ok((path.to_owned(), text))
}

/// What stands between a marker and its end.
fn generated(
    language: &Language,
    stats: &[Stats],
    kind: &str,
    what: &str,
    indent: &str,
) -> Result<Vec<String>, Box<dyn Error>> {
    match kind {
        "settings" => {
            let fields = chosen(what)?.into_iter();
            Ok(fields.flat_map(|(field, need)| (language.write)(language, field, need, indent)).collect())
        }
        // In Python alone: arguments by which settings change, and the keys of a dict of them.
        "changes" | "members" => {
            let end = if kind == "changes" { " = ...," } else { "" };
            let fields = chosen(what)?.into_iter();
            let one = |(field, _): (&Field, Need)| {
                let (name, what) = (field.name(&language.dialect), language.type_of(field, PYTHON_NUMBERS, '"'));
                format!("{name}: {what} | None{end}")
            };
            Ok(fields.map(one).collect())
        }
        "names" => {
            let (list, name) = what.split_once(' ').ok_or("a list of names without its type")?;
            let lists = names();
            let (_, texts) = lists.iter().find(|(of, _)| *of == list).ok_or_else(|| format!("no names {list}"))?;
            Ok((language.texts)(name, texts).lines().map(str::to_owned).collect())
        }
        "stats" => {
            let of = stats.iter().find(|of| of.object == what).ok_or_else(|| format!("no stats of {what}"))?;
            Ok((language.stats)(of, indent))
        }
        _ => Err(format!("{kind} is none of settings, changes, members, stats and names").into()),
    }
}

/// `export type State = 'closed' | …;`
fn union(name: &str, texts: &[&str]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| format!("'{text}'")).collect();
    let line = format!("export type {name} = {};", quoted.join(" | "));
    if line.len() <= MOST { line } else { format!("export type {name} =\n  | {};", quoted.join("\n  | ")) }
}

/// `_State: TypeAlias = Literal["closed", …]`
fn literal(name: &str, texts: &[&str]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| format!("\"{text}\"")).collect();
    let line = format!("{name}: TypeAlias = Literal[{}]", quoted.join(", "));
    if line.len() <= MOST { line } else { format!("{name}: TypeAlias = Literal[\n    {},\n]", quoted.join(",\n    ")) }
}

/// The settings that a marker names, and whether each must be given.
fn chosen(what: &str) -> Result<Vec<(&'static Field, Need)>, Box<dyn Error>> {
    let mut words = what.split_whitespace();
    let object = words.next().ok_or("a marker without a table")?;
    let table = TABLES.iter().find(|table| table.object == object).ok_or_else(|| format!("no table {object}"))?;
    let own = |field: &Field| if field.default == Preset::Required { Need::Required } else { Need::Default };
    let named: Vec<_> = words.collect();
    if named.is_empty() {
        return Ok(table.fields.iter().map(|field| (field, own(field))).collect());
    }
    let one = |word: &&str| {
        let name = word.trim_end_matches(['!', '?']);
        let field = table.fields.iter().find(|field| field.name == name);
        let field = field.ok_or_else(|| format!("{object} has no setting {name}"))?;
        let need = match &word[name.len()..] {
            "!" => Need::Required,
            "?" => Need::DefaultBeside,
            _ => own(field),
        };
        Ok((field, need))
    };
    named.iter().map(one).collect()
}

impl Language {
    fn type_of(&self, field: &Field, number: [&str; 3], quote: char) -> String {
        let [whole, real, span] = number;
        // Of two settings of one name the default says which is meant.
        let named = match field.default {
            Preset::Choice(text) => format!("{}={text}", field.name),
            _ => field.name.to_owned(),
        };
        if let Some((_, name)) = self.types.iter().find(|(name, _)| *name == named) {
            return (*name).to_owned();
        }
        match field.kind {
            Kind::Count { .. } => whole.to_owned(),
            Kind::Real { .. } => real.to_owned(),
            Kind::Span { .. } => span.to_owned(),
            Kind::Rate => format!("{} | {real}", if quote == '\'' { "string" } else { "str" }),
            Kind::Flag => if quote == '\'' { "boolean" } else { "bool" }.to_owned(),
            Kind::Choice(texts) => {
                let quoted: Vec<_> = texts.iter().map(|text| format!("{quote}{text}{quote}")).collect();
                if quote == '\'' { quoted.join(" | ") } else { format!("Literal[{}]", quoted.join(", ")) }
            }
            _ => unreachable!("a kind that this language knows"),
        }
    }

    /// A line about a setting: what it is, its range, and its default where that is a value.
    fn about(&self, field: &Field, with_default: bool) -> String {
        let mut about = field.doc[..1].to_uppercase() + &field.doc[1..];
        let default = match field.default {
            Preset::Required | Preset::Unset => None,
            Preset::Choice(text) => with_default.then(|| format!("default '{text}'")),
            _ => with_default.then(|| format!("default {}", field.default_in(&self.dialect))),
        };
        let notes: Vec<_> = self.range(field).into_iter().chain(default).collect();
        if !notes.is_empty() {
            about += &format!(" ({})", notes.join("; "));
        }
        about + "."
    }

    fn range(&self, field: &Field) -> Option<String> {
        match field.kind {
            Kind::Span { min_ns: 1, max_ns: u64::MAX } => Some("above 0".to_owned()),
            Kind::Span { min_ns, max_ns } => {
                let range = field.range(&self.dialect);
                let from = if min_ns == 1 { "above 0" } else { range.split(" to ").next()? };
                match (max_ns % YEAR_NS, max_ns / YEAR_NS) {
                    (0, 1) => Some(format!("{from} to a year")),
                    (0, years) => Some(format!("{from} to {years} years")),
                    _ => Some(range),
                }
            }
            // What the type says.
            Kind::Flag | Kind::Choice(_) => None,
            _ => Some(field.range(&self.dialect)),
        }
    }
}

/// `cooldownMs?: number;`, below its comment.
fn property(language: &Language, field: &Field, need: Need, indent: &str) -> Vec<String> {
    let full = field.name(&language.dialect);
    let name = full.rsplit('.').next().unwrap_or(&full);
    let optional = if need == Need::Required { "" } else { "?" };
    let mut lines = documented(&language.about(field, true), indent);
    lines.push(format!("{name}{optional}: {};", language.type_of(field, ["number"; 3], '\'')));
    lines
}

/// A comment that editors show.
pub(crate) fn documented(about: &str, indent: &str) -> Vec<String> {
    if indent.len() + about.len() + "/**  */".len() <= MOST {
        return vec![format!("/** {about} */")];
    }
    let text = wrapped(about, MOST - indent.len() - " * ".len());
    let text = text.into_iter().map(|line| format!(" * {line}"));
    ["/**".to_owned()].into_iter().chain(text).chain([" */".to_owned()]).collect()
}

/// `cooldown: _Seconds | None = 30,`, below its comment.
fn parameter(language: &Language, field: &Field, need: Need, indent: &str) -> Vec<String> {
    let name = field.name(&language.dialect);
    let about = wrapped(&language.about(field, need == Need::DefaultBeside), MOST - indent.len() - "# ".len());
    let mut lines: Vec<_> = about.into_iter().map(|line| format!("# {line}")).collect();
    let what = language.type_of(field, PYTHON_NUMBERS, '"');
    let default = match field.default {
        _ if need != Need::Default => "None".to_owned(),
        Preset::Required | Preset::Unset => "None".to_owned(),
        Preset::Count(count) => count.to_string(),
        Preset::Real(real) => real.to_string(),
        Preset::Span(ns) => (ns as f64 / SECOND_NS as f64).to_string(),
        Preset::Flag(flag) => if flag { "True" } else { "False" }.to_owned(),
        Preset::Choice(text) => format!("{text:?}"),
        _ => unreachable!("a default that this language knows"),
    };
    lines.push(match field.kind {
        _ if need == Need::Required => format!("{name}: {what},"),
        Kind::Flag => format!("{name}: {what} = {default},"),
        _ => format!("{name}: {what} | None = {default},"),
    });
    lines
}

/// `text` in lines of at most `most` columns.
pub(crate) fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
