//! What is wrong with a policy, and where.

use std::fmt;
use std::path::{Path, PathBuf};

/// The most problems that are told; more are counted.
pub const MOST_PROBLEMS: usize = 100;

/// One thing that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// Where, counted from 1; 0: of the file as a whole.
    pub line: u32,
    /// Which character of the line, counted from 1; 0 as the line.
    pub column: u32,
    /// Which setting: `"breakers.payment.cooldown"`. Empty where it is none.
    pub path: String,
    /// What is wrong, and what is allowed.
    pub message: String,
    /// What was meant, perhaps: `"cooldown"`.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, path, message, hint } = self;
        if *line > 0 {
            write!(f, "{line}:{column}: ")?;
        }
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        f.write_str(message)?;
        hint.as_ref().map_or(Ok(()), |hint| write!(f, " (did you mean {hint:?}?)"))
    }
}

/// A policy that is wrong: nothing of it was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    file: Option<PathBuf>,
    problems: Vec<Problem>,
    more: usize,
    is_no_memory: bool,
}

impl PolicyError {
    pub(super) fn new(problems: Vec<Problem>, more: usize) -> Self {
        Self { file: None, problems, more, is_no_memory: false }
    }

    /// Nothing is wrong with what the file says but that there is no memory for it.
    pub(super) fn of_memory(self) -> Self {
        Self { is_no_memory: true, ..self }
    }

    /// Of the file as a whole.
    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self::new(vec![Problem { message: message.into(), ..Problem::default() }], 0)
    }

    pub(super) fn in_file(self, file: &Path) -> Self {
        Self { file: Some(file.to_owned()), ..self }
    }

    /// All that is wrong, in the order of the file; at most [`MOST_PROBLEMS`].
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many more there are.
    pub fn more(&self) -> usize {
        self.more
    }

    /// Whether nothing else is wrong than that there is no memory for what the file asks for; what to make smaller, the
    /// problems say.
    pub fn is_no_memory(&self) -> bool {
        self.is_no_memory
    }

    /// The file, if it was read from one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

/// A line each: `orders.toml:3:7: limits.client.rate: …`.
impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            let line = if number == 0 { "" } else { "\n" };
            f.write_str(line)?;
            match &self.file {
                Some(file) if problem.line > 0 => write!(f, "{}:{problem}", file.display())?,
                Some(file) => write!(f, "{}: {problem}", file.display())?,
                None => write!(f, "{problem}")?,
            }
        }
        if self.more > 0 { write!(f, "\nand {} more", self.more) } else { Ok(()) }
    }
}

impl std::error::Error for PolicyError {}
