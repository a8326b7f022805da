//! The formats.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use super::family::{Family, FamilyType};
use super::measure::Labels;
use super::{Metrics, MetricsFormat, Sample, Value};
use std::borrow::Cow;
use std::fmt::Write;

pub(super) fn render(metrics: &Metrics, format: MetricsFormat) -> String {
    let families = Family::ALL.iter().map(|family| (*family, metrics.samples[*family as usize].as_slice()));
    let families = families.filter(|(_, samples)| !samples.is_empty());
    let mut page = String::new();
    // Writing to a String does not fail.
    let _ = match format {
        MetricsFormat::Json => json(&mut page, families),
        _ => lines(&mut page, families, format == MetricsFormat::OpenMetrics),
    };
    page
}

fn lines<'a>(
    page: &mut String,
    families: impl Iterator<Item = (Family, &'a [Sample])>,
    open_metrics: bool,
) -> std::fmt::Result {
    for (family, samples) in families {
        let suffix = if family.kind() == FamilyType::Counter { "_total" } else { "" };
        // OpenMetrics names the family of a counter without the suffix of its samples.
        let of_family = if open_metrics { "" } else { suffix };
        let (name, kind, help) = (family.name(), family.kind().name(), family.help());
        writeln!(page, "# HELP {name}{of_family} {help}\n# TYPE {name}{of_family} {kind}")?;
        for Sample { labels, value } in samples {
            write!(page, "{name}{suffix}{{")?;
            for (at, (label, value)) in labels.iter().enumerate() {
                let comma = if at == 0 { "" } else { "," };
                write!(page, "{comma}{label}=\"{}\"", escaped(value))?;
            }
            match value {
                Value::Whole(value) => writeln!(page, "}} {value}")?,
                Value::Real(value) => writeln!(page, "}} {value}")?,
            }
        }
    }
    if open_metrics { writeln!(page, "# EOF") } else { Ok(()) }
}

/// A label's value: backslashes, quotes and line feeds as both formats want them.
fn escaped(value: &str) -> Cow<'_, str> {
    if !value.contains(['\\', '"', '\n']) {
        return value.into();
    }
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n").into()
}

/// `[{"name", "type", "help", "samples": [{"labels", "value"}]}]`
fn json<'a>(page: &mut String, families: impl Iterator<Item = (Family, &'a [Sample])>) -> std::fmt::Result {
    page.push('[');
    for (at, (family, samples)) in families.enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let (name, kind, help) = (family.name(), family.kind().name(), family.help());
        write!(page, r#"{comma}{{"name":"{name}","type":"{kind}","help":{},"samples":["#, quoted(help))?;
        for (at, Sample { labels, value }) in samples.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(page, r#"{comma}{{"labels":{},"value":"#, object(labels))?;
            match value {
                Value::Whole(value) => write!(page, "{value}}}")?,
                Value::Real(value) => write!(page, "{value}}}")?,
            }
        }
        page.push_str("]}");
    }
    page.push(']');
    Ok(())
}

fn object(labels: &Labels) -> String {
    let pairs = labels.iter().map(|(label, value)| format!("{}:{}", quoted(label), quoted(value)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // Writing to a String does not fail.
            c if c < ' ' => drop(write!(quoted, "\\u{:04x}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
