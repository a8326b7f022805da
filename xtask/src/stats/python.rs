//! Python's classes, and their stubs.

use super::words::IN_PYTHON;
use super::{Field, Kind, Stats};
use crate::options::wrapped;

/// `bindings-python/src/stats/core.rs`.
pub(super) fn classes(all: &[Stats]) -> String {
    let mut text = String::from(
        "//! What the objects of core count: written by `cargo xtask gen write` from core's structs of these names.\n\n\
         use super::class::stats;\nuse crate::args::seconds;\nuse crate::breaker::views::Trip;\n",
    );
    for stats in all {
        text += "\nstats! {\n";
        text += &commented("    ", &IN_PYTHON.heading(stats));
        text += &format!("    {} from it: tidegate::{} {{\n", stats.class(), stats.path);
        for leaf in leaves(stats) {
            text += &commented("        ", &leaf.about);
            text += &format!("        {}: {} = {},\n", leaf.name, leaf.rust, leaf.value);
        }
        text += "    }\n}\n";
    }
    text
}

/// What stands in a class of `_tidegate.pyi`.
pub(crate) fn stub(stats: &Stats, indent: &str) -> Vec<String> {
    let most = crate::options::MOST - indent.len() - "    ".len();
    let mut lines = quoted(&IN_PYTHON.heading(stats), most);
    for leaf in leaves(stats) {
        lines.push("@property".to_owned());
        lines.push(format!("def {}(self) -> {}:", leaf.name, leaf.python));
        lines.extend(quoted(&leaf.about, most).into_iter().map(|line| format!("    {line}")));
    }
    lines.push("def __eq__(self, value: object, /) -> bool: ...".to_owned());
    lines.push("def __ne__(self, value: object, /) -> bool: ...".to_owned());
    lines
}

/// A docstring.
fn quoted(text: &str, most: usize) -> Vec<String> {
    let mut lines = wrapped(&format!("\"\"\"{text}"), most - "\"\"\"".len());
    if let Some(last) = lines.last_mut() {
        last.push_str("\"\"\"");
    }
    lines
}

fn commented(indent: &str, text: &str) -> String {
    let lines = wrapped(text, crate::options::MOST - indent.len() - "/// ".len());
    lines.iter().map(|line| format!("{indent}/// {line}\n")).collect()
}

/// One attribute of a class.
struct Leaf {
    name: String,
    rust: String,
    python: &'static str,
    value: String,
    about: String,
}

fn leaves(stats: &Stats) -> impl Iterator<Item = Leaf> {
    stats.fields.iter().flat_map(move |field| match &field.kind {
        Kind::Each(names) => {
            let one = |(at, one): (usize, &(&'static str, String))| Leaf {
                name: format!("{}_{}", field.prefix(), one.0),
                rust: "u64".to_owned(),
                python: "int",
                value: format!("it.{}[{at}]", field.place),
                about: IN_PYTHON.about(stats, field, Some(one)),
            };
            names.iter().enumerate().map(one).collect::<Vec<_>>()
        }
        _ => vec![leaf(stats, field)],
    })
}

fn leaf(stats: &Stats, field: &Field) -> Leaf {
    let place = format!("it.{}", field.place);
    let (rust, python, value) = match &field.kind {
        Kind::Whole(kind) => (kind.as_str(), "int", place),
        Kind::Real => ("f64", "float", place),
        Kind::Flag => ("bool", "bool", place),
        Kind::Nanoseconds => ("f64", "float", format!("seconds({place}_ns)").replace("_ns_ns", "_ns")),
        Kind::Duration => ("f64", "float", format!("{place}.as_secs_f64()")),
        Kind::MaybeDuration => ("Option<f64>", "float | None", format!("{place}.map(|it| it.as_secs_f64())")),
        Kind::State => ("String", "_State", format!("{place}.name().to_owned()")),
        Kind::Trip => ("Option<Trip>", "Trip | None", format!("{place}.map(Trip::from)")),
        Kind::Text | Kind::Each(_) => ("Option<String>", "str | None", place),
    };
    Leaf { name: field.name.clone(), rust: rust.to_owned(), python, value, about: IN_PYTHON.about(stats, field, None) }
}
