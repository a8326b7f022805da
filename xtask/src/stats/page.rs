//! `docs/stats.md`, the reference.

use super::words::{IN_C, IN_NODE, IN_PYTHON, camel, name};
use super::{Field, Kind, Stats};

pub(super) fn text(all: &[Stats]) -> String {
    let mut text = String::from(
        "# What objects count\n\n\
         `stats()` of each object (`tg_…_stats()` in C), written by `cargo xtask gen write` from core's structs.\n\
         Times are `Duration`s in Rust, nanoseconds in C, seconds in Python and milliseconds in Node. In a named\n\
         scope counts are of all processes, where no line says otherwise. For a scrape: [metrics](metrics.md).\n",
    );
    for stats in all {
        text += &format!(
            "\n## {}\n\n{}\n\n| Rust | C | Python | Node | |\n|---|---|---|---|---|\n",
            stats.title, stats.about
        );
        for field in &stats.fields {
            text += &row(stats, field);
        }
    }
    text
}

fn row(stats: &Stats, field: &Field) -> String {
    let is_span = field.kind.is_span();
    let [c, python, node] = [&IN_C, &IN_PYTHON, &IN_NODE].map(|it| name(&it.dialect, &field.name, is_span));
    let [c, python, node] = match &field.kind {
        Kind::Each(names) => {
            let each =
                |make: &dyn Fn(&str) -> String| names.iter().map(|(one, _)| make(one)).collect::<Vec<_>>().join("` `");
            let flat = each(&|one| format!("{}_{one}", field.prefix()));
            let of = if stats.object == "queue" { each(&|one| camel(&format!("dropped_{one}"))) } else { node };
            [flat.clone(), flat, of]
        }
        Kind::Trip => ["has_trip` `trip_calls` `trip_failed` `trip_slow".to_owned(), python, node],
        Kind::Text => ["tg_cluster_limit_fault()".to_owned(), python, node],
        _ => [c, python, node],
    };
    let about = super::words::unlinked(&field.about).replace("`NEVER`", "never").replace('|', "\\|");
    format!("| `{}` | `{c}` | `{python}` | `{node}` | {about} |\n", field.place)
}
