//! Columns.

use std::io::{self, Write};

/// Lines whose cells stand under each other.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    /// Text.
    Left(&'static str),
    /// Numbers.
    Right(&'static str),
}

#[derive(Debug)]
enum Row {
    Cells(Vec<String>),
    /// About the row before it.
    Note(String),
}

const GAP: &str = "  ";

impl Table {
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// As many cells as there are columns.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(Row::Cells(cells.into_iter().collect()));
    }

    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.rows.push(Row::Note(text.into()));
    }

    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let titles: Vec<String> = self.columns.iter().map(|column| column.title().to_owned()).collect();
        let widths: Vec<usize> = (0..self.columns.len()).map(|index| self.width(index, &titles[index])).collect();
        self.line(out, &titles, &widths)?;
        for row in &self.rows {
            match row {
                Row::Cells(cells) => self.line(out, cells, &widths)?,
                Row::Note(text) => writeln!(out, "{GAP}{text}")?,
            }
        }
        Ok(())
    }

    fn width(&self, index: usize, title: &str) -> usize {
        let cells = self.rows.iter().filter_map(|row| match row {
            Row::Cells(cells) => cells.get(index).map(|cell| length(cell)),
            Row::Note(_) => None,
        });
        cells.chain([length(title)]).max().unwrap_or(0)
    }

    fn line(&self, out: &mut dyn Write, cells: &[String], widths: &[usize]) -> io::Result<()> {
        let mut line = String::new();
        for ((column, cell), &width) in self.columns.iter().zip(cells).zip(widths) {
            let padding = " ".repeat(width.saturating_sub(length(cell)));
            match column {
                Column::Left(_) => line.extend([cell, padding.as_str(), GAP]),
                Column::Right(_) => line.extend([padding.as_str(), cell, GAP]),
            }
        }
        writeln!(out, "{}", line.trim_end())
    }
}

impl Column {
    fn title(&self) -> &'static str {
        match self {
            Self::Left(title) | Self::Right(title) => title,
        }
    }
}

/// Characters that take a place on the screen: not those of a colour.
fn length(text: &str) -> usize {
    let mut colour = false;
    let seen = text.chars().filter(|&c| {
        let hidden = colour || c == '\x1b';
        colour = hidden && c != 'm';
        !hidden
    });
    seen.count()
}

#[cfg(test)]
mod tests {
    use super::Column::{Left, Right};
    use super::*;

    #[test]
    fn columns_align_whatever_is_coloured() {
        let mut table = Table::new(&[Left("NAME"), Right("SIZE"), Left("STATE")]);
        table.row(["a".to_owned(), "1 B".to_owned(), "\x1b[31mopen\x1b[0m".to_owned()]);
        table.row(["much longer".to_owned(), "1023 B".to_owned(), "x".to_owned()]);
        table.note("and more");
        let mut out = Vec::new();
        table.write(&mut out).expect("memory");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(
            text,
            "NAME           SIZE  STATE\na               1 B  \x1b[31mopen\x1b[0m\nmuch longer  1023 B  x\n  and more\n"
        );
    }
}
