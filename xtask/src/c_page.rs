//! `docs/c.md`: the C header as a page.

use std::error::Error;
use std::path::{Path, PathBuf};

/// The page, and what it has to hold.
pub(crate) fn page(root: &Path) -> Result<(PathBuf, String), Box<dyn Error>> {
    let header = std::fs::read_to_string(root.join("include/tidegate.h"))?;
    let mut text = String::from(
        "# C reference\n\n\
         [`tidegate.h`](../include/tidegate.h) as a page, written by `cargo xtask gen write`. How to build, install\n\
         and begin: [the library's page](../ffi/README.md).\n\n## Rules\n\n",
    );
    let (top, rest) = header.split_once("*/").ok_or("the header begins with its rules")?;
    let rules = top.split_once("\n * - ").ok_or("the rules are a list")?.1;
    for rule in rules.split("\n * Contents:").next().unwrap_or_default().split("\n * - ") {
        text += &format!("- {}\n", plain(rule));
    }
    for section in rest.split("/* =====").skip(1) {
        let (heading, body) = section.split_once("===== */").ok_or("a section has a heading")?;
        let heading = heading.trim_matches(['=', '\n', ' ']);
        let (title, about) = heading.split_once("\n *\n").ok_or("a heading has a title and a word about it")?;
        if title.ends_with("Layout") {
            break;
        }
        text += &format!("\n## {}\n\n{}\n", title.trim_start_matches(['*', ' ']), plain(about));
        body.split("\n\n").filter_map(item).for_each(|item| text += &item);
    }
    Ok((root.join("docs/c.md"), text))
}

/// What a block declares; nothing of what only a compiler needs.
fn item(block: &str) -> Option<String> {
    let block = block.trim_matches(['\n', '=']);
    let (doc, code) = commented(block)?;
    if code.starts_with("#define") {
        return (!code.contains('{')).then(|| format!("\n```C\n{code}\n```\n\n{doc}\n"));
    }
    if let Some(rest) = code.strip_prefix("enum ") {
        let name = rest.split_whitespace().next()?;
        let values = rest.split_once("\n {\n")?.1.split_once("\n};")?.0;
        return Some(format!("\n### {name}\n\n{doc}\n\n| value | |\n|---|---|\n{}", rows(values)));
    }
    if let Some(fields) = code.strip_prefix("typedef struct {\n") {
        let (fields, name) = fields.split_once("\n} ")?;
        return Some(format!(
            "\n### {}\n\n{doc}\n\n| field | |\n|---|---|\n{}",
            name.trim_end_matches(';'),
            rows(fields)
        ));
    }
    if let Some(name) = code.strip_prefix("typedef struct ") {
        return Some(format!("\n### {}\n\n{doc}\n", name.split(' ').next()?));
    }
    Some(format!("\n```C\n{code}\n```\n\n{doc}\n"))
}

/// A block's comment, to be read, and what it stands above.
fn commented(block: &str) -> Option<(String, &str)> {
    let (doc, code) = block.strip_prefix("/**")?.split_once("*/\n")?;
    let paragraphs = doc.split("\n *\n").map(|part| {
        let lines = ["\n * Errors:", "\n * Ownership:", "\n * Thread safety:", "\n * Since:"];
        let apart = lines.iter().fold(part.to_owned(), |part, line| part.replace(line, &format!("\n\n{}", &line[1..])));
        apart.split("\n\n").map(plain).collect::<Vec<_>>().join("\n\n")
    });
    Some((paragraphs.collect::<Vec<_>>().join("\n\n"), code.trim_end()))
}

/// Members with their comments as rows of a table.
fn rows(members: &str) -> String {
    let mut rows = String::new();
    for member in members.split("/**").skip(1) {
        let Some((doc, code)) = member.split_once("*/") else { continue };
        let code = code.trim().trim_end_matches([',', ';']);
        rows += &format!("| `{code}` | {} |\n", plain(doc).replace('|', "\\|"));
    }
    rows
}

/// A comment's lines as one of Markdown.
fn plain(comment: &str) -> String {
    let lines = comment.lines().map(|line| line.trim().trim_start_matches('*').trim());
    let text = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    text.replace('*', "\\*").replace('<', "\\<")
}
