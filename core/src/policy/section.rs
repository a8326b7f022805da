//! A table of the file, read by the descriptions of settings.

use super::near::nearest;
use super::problem::{MOST_PROBLEMS, Problem};
use super::source::{Environment, Source, expanded};
use super::value::{Settings, Value};
use super::{MOST_BYTES, PolicyError, duration};
use crate::error::{cut, shortened};
use crate::setting::{Field, Kind, POLICY};
use crate::{ConfigError, ConfigErrorKind};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

/// What is found wrong, in whatever order.
pub(super) struct Report<'t> {
    source: Source<'t>,
    environment: Environment<'t>,
    problems: RefCell<Vec<(usize, Problem)>>,
    count: Cell<usize>,
    /// How many of them say that there is no memory.
    no_memory: Cell<usize>,
    /// Bytes of the texts into which the environment put something.
    put_in: Cell<usize>,
}

impl<'t> Report<'t> {
    pub(super) fn new(text: &'t str, environment: Environment<'t>) -> Self {
        Self {
            source: Source::new(text),
            environment,
            problems: RefCell::default(),
            count: Cell::new(0),
            no_memory: Cell::new(0),
            put_in: Cell::new(0),
        }
    }

    pub(super) fn add(&self, at: usize, path: &str, message: impl Into<String>, hint: Option<&str>) {
        self.count.set(self.count.get() + 1);
        let mut problems = self.problems.borrow_mut();
        if problems.len() < MOST_PROBLEMS {
            let (line, column) = self.source.place(at);
            let (path, hint) = (path.to_owned(), hint.map(str::to_owned));
            let message = cut(&message.into(), MESSAGE_CHARS);
            problems.push((at, Problem { line, column, path, message, hint }));
        }
    }

    /// What was meant by a name that is none; nothing where nobody is told any more.
    pub(super) fn near<'k>(&self, name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
        if self.is_full() { None } else { nearest(name, known) }
    }

    /// Whether what comes now is only counted.
    pub(super) fn is_full(&self) -> bool {
        self.count.get() >= MOST_PROBLEMS
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count.get()
    }

    /// A text with what the environment puts into it.
    fn expanded(&self, text: &str) -> Result<(String, bool), String> {
        let (text, any) = expanded(text, self.environment)?;
        if any {
            self.put_in.set(self.put_in.get() + text.len());
            if self.put_in.get() > MOST_BYTES {
                return Err(format!("all texts are together too long once expanded; at most {MOST_BYTES} bytes"));
            }
        }
        Ok((text, any))
    }

    pub(super) fn place(&self, at: usize) -> (u32, u32) {
        self.source.place(at)
    }

    pub(super) fn text_of(&self, span: Range<usize>) -> &'t str {
        self.source.text_of(span)
    }

    /// All of them, in the order of the file.
    pub(super) fn error(self) -> Option<PolicyError> {
        let mut problems = self.problems.into_inner();
        problems.sort_by(|(a, one), (b, other)| (a, &one.path, &one.message).cmp(&(b, &other.path, &other.message)));
        let more = self.count.get() - problems.len();
        let mut told: Vec<_> = problems.into_iter().map(|(_, problem)| problem).collect();
        // The parser may say a thing twice.
        told.dedup();
        let error = (self.count.get() > 0).then(|| PolicyError::new(told, more));
        if self.no_memory == self.count { error.map(PolicyError::of_memory) } else { error }
    }
}

/// A path with another key.
pub(super) fn joined(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let key = cut(key, NAME_CHARS);
    let key = if bare { key } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// What a value is, as a reader of the file sees it.
pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

pub(super) type Item<'a, 't> = (&'a str, &'a Spanned<DeValue<'t>>);

/// A table with its path.
pub(super) struct Section<'a, 't> {
    pub(super) report: &'a Report<'t>,
    pub(super) path: String,
    /// Where its name stands.
    pub(super) at: usize,
    table: &'a DeTable<'t>,
}

impl<'a, 't> Section<'a, 't> {
    pub(super) fn root(report: &'a Report<'t>, table: &'a DeTable<'t>) -> Self {
        Self { report, path: String::new(), at: 0, table }
    }

    /// Its keys in the order of the file.
    pub(super) fn items(&self) -> Vec<Item<'a, 't>> {
        let mut items: Vec<_> = self.table.iter().collect();
        items.sort_by_key(|(key, _)| key.span().start);
        items.into_iter().map(|(key, value)| (key.get_ref().as_ref(), value)).collect()
    }

    pub(super) fn find(&self, key: &str) -> Option<&'a Spanned<DeValue<'t>>> {
        self.table.get(key)
    }

    /// Where a key stands.
    pub(super) fn key_at(&self, key: &str) -> usize {
        self.table.get_key_value(key).map_or(self.at, |(own, _)| own.span().start)
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        joined(&self.path, key)
    }

    /// Says that a key's value is wrong.
    pub(super) fn wrong(&self, key: &str, message: impl Into<String>, hint: Option<&str>) {
        let at = self.find(key).map_or(self.at, |value| value.span().start);
        self.report.add(at, &self.path_of(key), message, hint);
    }

    /// Says that a key is wrong here.
    pub(super) fn wrong_key(&self, key: &str, message: impl Into<String>, hint: Option<&str>) {
        self.report.add(self.key_at(key), &self.path_of(key), message, hint);
    }

    /// Says which keys there are not, among `known`.
    pub(super) fn check_keys(&self, known: &[&str]) {
        for (key, _) in self.items() {
            if !known.contains(&key) {
                let message = format!("there is no such key; there are {}", known.join(", "));
                self.wrong_key(key, message, self.report.near(key, known.iter().copied()));
            }
        }
    }

    /// A value that is of another type.
    pub(super) fn mistyped(&self, key: &str, wanted: &str) {
        let Some(value) = self.find(key) else { return };
        let got = match value.get_ref() {
            DeValue::String(text) => format!("the text {:?}", shortened(text)),
            DeValue::Integer(_) | DeValue::Float(_) => {
                format!("the number {}", shortened(self.report.text_of(value.span())))
            }
            DeValue::Boolean(flag) => flag.to_string(),
            other => kind_of(other).to_owned(),
        };
        self.wrong(key, format!("must be {wanted}, got {got}"), None);
    }

    /// The table under a key.
    pub(super) fn table(&self, key: &str, wanted: &str) -> Option<Self> {
        let value = self.find(key)?;
        let DeValue::Table(table) = value.get_ref() else {
            self.mistyped(key, wanted);
            return None;
        };
        Some(Self { report: self.report, path: self.path_of(key), at: self.key_at(key), table })
    }

    /// The text under a key, with what the environment puts into it.
    pub(super) fn text(&self, key: &str, wanted: &str) -> Option<String> {
        let value = self.find(key)?;
        let DeValue::String(text) = value.get_ref() else {
            self.mistyped(key, wanted);
            return None;
        };
        self.expanded(key, text).map(|(text, _)| text)
    }

    fn expanded(&self, key: &str, text: &str) -> Option<(String, bool)> {
        self.report.expanded(text).map_err(|why| self.wrong(key, why, None)).ok()
    }

    /// The texts under a key.
    pub(super) fn texts(&self, key: &str, wanted: &str) -> Option<Vec<String>> {
        let DeValue::Array(list) = self.find(key)?.get_ref() else {
            self.mistyped(key, wanted);
            return None;
        };
        let mut texts = Vec::new();
        for (place, item) in list.iter().enumerate() {
            let path = format!("{}[{place}]", self.path_of(key));
            let DeValue::String(text) = item.get_ref() else {
                let got = kind_of(item.get_ref());
                self.report.add(item.span().start, &path, format!("must be a text, got {got}"), None);
                continue;
            };
            match self.report.expanded(text) {
                Ok((text, _)) => texts.push(text),
                Err(why) => self.report.add(item.span().start, &path, why, None),
            }
        }
        Some(texts)
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.scalar(key)? {
            Scalar::Flag(flag) => Some(flag),
            _ => {
                self.mistyped(key, "true or false");
                None
            }
        }
    }

    /// A value that is no list and no table; a text into which the environment put something stands for what it spells.
    fn scalar(&self, key: &str) -> Option<Scalar> {
        match self.find(key)?.get_ref() {
            DeValue::String(text) => {
                let (text, any) = self.expanded(key, text)?;
                Some(any.then(|| Scalar::spelled(&text)).flatten().unwrap_or(Scalar::Text(text)))
            }
            DeValue::Integer(number) => Some(Scalar::of_integer(number)),
            DeValue::Float(number) => number.as_str().parse().ok().map(Scalar::Real),
            DeValue::Boolean(flag) => Some(Scalar::Flag(*flag)),
            _ => Some(Scalar::Other),
        }
    }

    /// A setting by its description; none where it is left out, or wrong, which is told.
    pub(super) fn field(&self, key: &str, field: &Field) -> Option<Value> {
        let scalar = self.scalar(key)?;
        let wrong = |error: &ConfigError| {
            self.wrong(key, error.message_in(&POLICY), None);
            None
        };
        let ranged = |checked: Result<(), ConfigError>, value: Value| match checked {
            Ok(()) => Some(value),
            Err(error) => wrong(&error),
        };
        match (field.kind, scalar) {
            (Kind::Count { .. }, Scalar::Count(count)) => ranged(field.check_count(count, ""), Value::Count(count)),
            (Kind::Count { .. }, Scalar::Outside(text)) => wrong(&field.outside(text, "")),
            (Kind::Real { .. }, Scalar::Count(count)) => {
                ranged(field.check_real(count as f64, &meant(field, count as f64)), Value::Real(count as f64))
            }
            (Kind::Real { .. }, Scalar::Outside(text)) => wrong(&field.outside(text, "")),
            (Kind::Real { .. }, Scalar::Real(real)) => {
                // A NaN is within no range.
                ranged(field.check_real(real, &meant(field, real)), Value::Real(real))
            }
            (Kind::Span { .. }, Scalar::Text(text)) => match duration::parse(&text) {
                Some(ns) => ranged(field.check_span(Duration::from_nanos(ns), ""), Value::Span(ns)),
                None => {
                    let message = format!(
                        "{:?} is not a span of time; write a number and a unit (ns, us, ms, s, m, h, d), such as \
                         \"250ms\", \"30s\" or \"5m\"",
                        shortened(&text)
                    );
                    self.wrong(key, message, None);
                    None
                }
            },
            (Kind::Span { .. }, Scalar::Count(count)) => {
                let text = format!("must be {}, got the number {count}", field.wanted(&POLICY));
                self.wrong(key, text, Some(&format!("{count}s")));
                None
            }
            (Kind::Rate, Scalar::Text(text)) => match text.parse::<crate::Quota>() {
                Ok(_) => Some(Value::Text(text)),
                Err(error) => wrong(&error),
            },
            (Kind::Flag, Scalar::Flag(flag)) => Some(Value::Flag(flag)),
            (Kind::Choice(texts), Scalar::Text(text)) => {
                if texts.contains(&text.as_str()) {
                    return Some(Value::Text(text));
                }
                let error = field.none_of(format_args!("{:?}", shortened(&text)));
                self.wrong(key, error.message_in(&POLICY), self.report.near(&text, texts.iter().copied()));
                None
            }
            _ => {
                self.mistyped(key, &field.wanted(&POLICY));
                None
            }
        }
    }

    /// Those of `fields` that are given, by their names; one that must be given and is not is told.
    pub(super) fn fields<'f>(&self, fields: impl IntoIterator<Item = (&'f str, &'f Field)>) -> Settings {
        let mut settings = Settings::default();
        for (key, field) in fields {
            if self.find(key).is_none() && field.default == crate::setting::Preset::Required {
                let message = format!("must be given: {}", field.wanted(&POLICY));
                self.report.add(self.at, &self.path_of(key), message, None);
            }
            settings.put_some(key, self.field(key, field));
        }
        settings
    }

    /// An error of an object that was made of this table: at the setting that it names, if that is here.
    pub(super) fn told(&self, error: &ConfigError, key_of: impl Fn(&str) -> String) {
        let name = key_of(error.field());
        if error.kind() == ConfigErrorKind::NoMemory {
            self.report.no_memory.set(self.report.no_memory.get() + 1);
        }
        let (mut at, mut value) = (self.at, None);
        let mut table = self.table;
        for key in name.split('.') {
            let Some((own, found)) = table.get_key_value(key) else { break };
            (at, value) = (own.span().start, Some(found));
            match found.get_ref() {
                DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        at = value.map_or(at, |value| value.span().start);
        let path = name.split('.').fold(self.path.clone(), |path, key| joined(&path, key));
        self.report.add(at, &path, error.message_in(&POLICY), None);
    }
}

/// A percentage is the common mistake.
fn meant(field: &Field, real: f64) -> String {
    match field.kind {
        Kind::Real { max: 1.0, .. } if real > 1.0 && real <= 100.0 => format!("; did you mean {}?", real / 100.0),
        _ => String::new(),
    }
}

enum Scalar {
    Count(u64),
    /// A whole number that is none of those, as it is written.
    Outside(String),
    Real(f64),
    Flag(bool),
    Text(String),
    Other,
}

impl Scalar {
    fn of_integer(number: &DeInteger<'_>) -> Self {
        match u64::from_str_radix(number.as_str(), number.radix()) {
            Ok(count) => Self::Count(count),
            Err(_) => Self::Outside(shortened(number.as_str())),
        }
    }

    /// What the environment spelled, where that is not a text.
    fn spelled(text: &str) -> Option<Self> {
        match text.trim() {
            "true" => Some(Self::Flag(true)),
            "false" => Some(Self::Flag(false)),
            text if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok().map(Self::Count),
            text if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') => text.parse().ok().map(Self::Real),
            _ => None,
        }
    }
}

/// Names, the first of them.
pub(super) fn listed<'n>(names: impl Iterator<Item = &'n str> + Clone) -> String {
    const MOST: usize = 20;
    let first: Vec<_> = names.clone().take(MOST).map(|name| cut(name, NAME_CHARS)).collect();
    let more = names.count().saturating_sub(MOST);
    if more > 0 { format!("{} and {more} more", first.join(", ")) } else { first.join(", ") }
}

/// No object's name is longer: what is cut is none.
const NAME_CHARS: usize = 64;
/// What messages say by themselves is shorter.
const MESSAGE_CHARS: usize = 4_000;
