//! All that a file says.

use super::breakers::RetrySettings;
use super::gates::GatePolicy;
use super::limits::LimitPolicy;
use super::section::{Report, Section, listed};
use super::shedders::{ShedderPolicy, Watched};
use super::source::Environment;
use super::value::{Settings, Value};
use super::{PolicyError, breakers, concurrency, filled, gates, json, limits, queues, shedders};
use crate::arena::{Scope, check_object_name};
use crate::breaker::BreakerConfig;
use crate::concurrency::ConcurrencyConfig;
use crate::error::shortened;
use crate::mode::Mode;
use crate::queue::QueueConfig;
use crate::{ConfigError, ConfigErrorKind};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// The most bytes of a file.
pub const MOST_BYTES: usize = 1 << 20;

/// Some editors begin a file with it.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The sections, in the order in which they are told.
pub(super) const SECTIONS: [&str; 6] = ["limits", "concurrency", "queues", "shedders", "breakers", "gates"];
/// Those whose objects have one directory in a named scope.
const NAMED: [&str; 4] = ["limits", "concurrency", "shedders", "breakers"];
const KEYS: [&str; 8] = ["version", "scope", "limits", "concurrency", "queues", "shedders", "breakers", "gates"];

/// A policy, as a file says it, checked.
///
/// ```
/// use tidegate::policy::PolicyConfig;
///
/// let config = PolicyConfig::parse(r#"
///     version = 1
///     [limits]
///     client = { rate = "100/minute", key = "client_ip" }
///     [gates.orders]
///     use = { limits = ["client"] }
/// "#)?;
/// assert_eq!(config.gates["orders"].limits, ["client"]);
///
/// let wrong = PolicyConfig::parse("version = 1\n[limits]\nclient = { rat = \"100/minute\" }\n").unwrap_err();
/// let told = wrong.problems().iter().find(|it| it.path == "limits.client.rat").expect("no such key");
/// assert_eq!((told.line, told.column, told.hint.as_deref()), (3, 12, Some("rate")));
/// # Ok::<(), tidegate::policy::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PolicyConfig {
    /// Where state lives; `None`: the file does not say. `TIDEGATE_SCOPE` wins.
    pub scope: Option<Scope>,
    /// Rate limits.
    pub limits: BTreeMap<String, LimitPolicy>,
    /// Concurrency limits.
    pub concurrency: BTreeMap<String, ConcurrencyConfig>,
    /// Queues.
    pub queues: BTreeMap<String, QueueConfig>,
    /// Load shedders.
    pub shedders: BTreeMap<String, ShedderPolicy>,
    /// Circuit breakers.
    pub breakers: BTreeMap<String, BreakerConfig>,
    /// How calls are made again, by the names of the breakers that say it.
    pub retries: BTreeMap<String, RetrySettings>,
    /// Gates.
    pub gates: BTreeMap<String, GatePolicy>,
    /// As it was written, by section and name.
    pub(super) given: Settings,
    /// Where each object stands, by its path.
    pub(super) places: BTreeMap<String, (u32, u32)>,
}

impl PolicyConfig {
    /// Of a text, with what the environment puts into it.
    ///
    /// Errors: all that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        Self::parse_with(text, &|name| std::env::var(name).ok())
    }

    /// [`parse`](Self::parse) with another environment.
    ///
    /// Errors: as there.
    pub fn parse_with(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, PolicyError> {
        if text.len() > MOST_BYTES {
            return Err(too_many(text.len()));
        }
        read(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text), environment)
    }

    /// Of bytes that should be UTF-8.
    ///
    /// Errors: as of [`parse`](Self::parse).
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, PolicyError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(_) if bytes.len() > MOST_BYTES => Err(too_many(bytes.len())),
            Err(error) => {
                let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                let report = Report::new(&before, &|_| None);
                report.add(error.valid_up_to(), "", "is not UTF-8; save the file as such", None);
                Err(report.error().unwrap_or_else(|| PolicyError::whole("is not UTF-8")))
            }
        }
    }

    /// Of a file.
    ///
    /// Errors: as of [`parse`](Self::parse); one problem of the file as a whole where it cannot be read.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, PolicyError> {
        let path = path.as_ref();
        read_file(path).and_then(|bytes| Self::parse_bytes(&bytes)).map_err(|error| error.in_file(path))
    }

    /// The same as a file, with all defaults filled in.
    pub fn to_toml(&self) -> String {
        filled::toml(self)
    }

    /// What it says, for other languages: each object's settings as they were written, times as texts of nanoseconds
    /// under names that end in `_ns`.
    pub fn to_json(&self) -> String {
        json::text(&self.given)
    }

    /// 16 hexadecimal digits that tell what it says from what others do: comments, spaces and the order of keys do not
    /// matter, nor whether a default is written.
    pub fn hash(&self) -> String {
        format!("{:016x}", self.hash_number())
    }

    /// [`hash`](Self::hash), never 0.
    pub(super) fn hash_number(&self) -> u64 {
        // FNV-1a (G. Fowler, L. C. Noll, K.-P. Vo): nothing depends on it but what people see.
        let bytes = self.to_toml().into_bytes();
        let hash = bytes
            .into_iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        hash.max(1)
    }

    /// The scope in force: the environment's, else the file's, else that of the process.
    ///
    /// Errors: the environment names none.
    pub fn scope_in_force(&self) -> Result<Scope, PolicyError> {
        let said = std::env::var_os("TIDEGATE_SCOPE").is_some_and(|text| !text.is_empty());
        match &self.scope {
            Some(scope) if !said => Ok(scope.clone()),
            _ => Scope::from_env().map_err(|error| PolicyError::whole(error.message())),
        }
    }
}

fn too_many(bytes: usize) -> PolicyError {
    PolicyError::whole(format!("{bytes} bytes are too many for a policy; at most {MOST_BYTES}"))
}

fn read_file(path: &Path) -> Result<Vec<u8>, PolicyError> {
    use std::io::Read;
    let mut bytes = Vec::new();
    // A little more than is allowed tells that it is too much, of a device without an end as well.
    let file = std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes));
    match file {
        Ok(_) if bytes.len() > MOST_BYTES => {
            Err(PolicyError::whole(format!("is too large for a policy; at most {MOST_BYTES} bytes")))
        }
        Ok(_) => Ok(bytes),
        Err(error) => Err(PolicyError::whole(format!("cannot be read: {error}"))),
    }
}

fn read(text: &str, environment: Environment<'_>) -> Result<PolicyConfig, PolicyError> {
    let report = Report::new(text, environment);
    if text.starts_with(BYTE_ORDER_MARK) {
        // The parser takes one too.
        report.add(0, "", "begins with a byte-order mark for the second time; leave it out", None);
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or_else(|| place_of_what_has_none(text), |span| span.start);
        report.add(at, "", said(error.message()), None);
    }
    // What follows from half a text would be told of what is not wrong.
    if report.count() > 0 {
        return Err(report.error().unwrap_or_else(|| PolicyError::whole("is no TOML")));
    }
    let root = Section::root(&report, document.get_ref());
    let config = sections(&root);
    match report.error() {
        Some(error) => Err(error),
        None => Ok(config),
    }
}

/// What the parser says, in words that say what is allowed.
fn said(message: &str) -> &str {
    match message.trim() {
        "recursion limit" => "a key has more than 80 parts, which no setting has; leave some out",
        "cannot recurse further; max recursion depth met" => {
            "tables and lists stand more than 80 deep within one another, which no setting does"
        }
        other => other,
    }
}

/// Where the first of the parser's errors stands that say no place: the shortest beginning of the text that has one,
/// for what follows takes none back.
fn place_of_what_has_none(text: &str) -> usize {
    let has_one = |end: usize| DeTable::parse_recoverable(&text[..end]).1.iter().any(|error| error.span().is_none());
    let (mut without, mut with) = (0, text.len());
    loop {
        let between = without + (with - without) / 2;
        let Some(at) = (without + 1..=between).rev().find(|at| text.is_char_boundary(*at)) else { break };
        *(if has_one(at) { &mut with } else { &mut without }) = at;
    }
    without
}

fn sections(root: &Section<'_, '_>) -> PolicyConfig {
    let report = root.report;
    root.check_keys(&KEYS);
    version(root);
    let scope = scope(root);
    let mut given = Settings::default();
    given.put_some("scope", scope.as_ref().map(|scope| scope.to_string().replace('"', "")));
    let mut config = PolicyConfig {
        scope,
        limits: BTreeMap::new(),
        concurrency: BTreeMap::new(),
        queues: BTreeMap::new(),
        shedders: BTreeMap::new(),
        breakers: BTreeMap::new(),
        retries: BTreeMap::new(),
        gates: BTreeMap::new(),
        given: Settings::default(),
        places: BTreeMap::new(),
    };
    let names = Names::of(root);
    for of in SECTIONS {
        let Some(section) = root.table(of, "a table of names and what each is") else { continue };
        let mut told = Settings::default();
        for (name, _) in section.items() {
            check_name(&section, &names, of, name);
            let Some(object) = section.table(name, "a table of its settings") else { continue };
            config.places.insert(object.path.clone(), report.place(object.at));
            let settings = match of {
                "limits" => put(&mut config.limits, name, limits::read(&object)),
                "concurrency" => put(&mut config.concurrency, name, concurrency::read(&object)),
                "queues" => put(&mut config.queues, name, queues::read(&object)),
                "shedders" => put(&mut config.shedders, name, shedders::read(&object)),
                "breakers" => {
                    let (settings, made, retry) = breakers::read(&object, name);
                    config.retries.extend(retry.map(|retry| (name.to_owned(), retry)));
                    put(&mut config.breakers, name, (settings, made))
                }
                _ => put(&mut config.gates, name, gates::read(&object, &names)),
            };
            told.put(name, settings);
        }
        given.put(of, told);
    }
    check_watched(root, &config, &names);
    config.given = given;
    config
}

fn put<T>(into: &mut BTreeMap<String, T>, name: &str, (settings, made): (Settings, Option<T>)) -> Settings {
    into.extend(made.map(|made| (name.to_owned(), made)));
    settings
}

fn version(root: &Section<'_, '_>) {
    let wanted = "must be given: version = 1, the form of the file";
    match root.find("version").map(toml::Spanned::get_ref) {
        None => root.report.add(0, "version", wanted, None),
        Some(DeValue::Integer(version)) if version.as_str() == "1" => {}
        Some(DeValue::Integer(version)) => {
            let message = "is a form of the file that this version of tidegate does not know; it knows 1";
            let message = format!("{} {message}", shortened(version.as_str()));
            root.wrong("version", message, None);
        }
        Some(_) => root.mistyped("version", "1, the form of the file"),
    }
}

fn scope(root: &Section<'_, '_>) -> Option<Scope> {
    let text = root.text("scope", "a text such as \"process\" or \"host:orders\"")?;
    let parsed = Scope::parse(&text);
    parsed.map_err(|error| root.wrong("scope", error.message().trim_start_matches("scope: "), None)).ok()
}

fn check_name(section: &Section<'_, '_>, names: &Names, of: &str, name: &str) {
    if let Err(error) = check_object_name(name) {
        section.wrong_key(name, error.message().trim_start_matches("name: "), None);
    }
    if of == "limits" && name == "n" {
        // A file means the same in every language.
        let message = "cannot be a limit's name: in Python the cost of a call stands under it, beside the keys; give \
                       it another, such as \"n_limit\"";
        section.wrong_key(name, message, None);
    }
    if !NAMED.contains(&of) {
        return;
    }
    let earlier = NAMED.iter().take_while(|it| **it != of).find(|other| names.has(other, name));
    if let Some(other) = earlier {
        let message = format!(
            "[{other}] has this name too, and in a named scope both would be one object; give one of them another, \
             such as {:?}",
            format!("{}_{}", shortened(name), of.trim_end_matches('s'))
        );
        section.wrong_key(name, message, None);
    }
}

/// The names that each section has.
pub(super) struct Names(BTreeMap<&'static str, BTreeSet<String>>);

impl Names {
    fn of(root: &Section<'_, '_>) -> Self {
        let names = |of: &'static str| match root.find(of).map(toml::Spanned::get_ref) {
            Some(DeValue::Table(table)) => (of, table.keys().map(|key| key.get_ref().to_string()).collect()),
            _ => (of, BTreeSet::new()),
        };
        Self(SECTIONS.into_iter().map(names).collect())
    }

    pub(super) fn has(&self, of: &str, name: &str) -> bool {
        self.0.get(of).is_some_and(|names| names.contains(name))
    }

    /// Says that a section does not have the name that stands under a key.
    pub(super) fn tell(&self, section: &Section<'_, '_>, key: &str, of: &str, name: &str) {
        if section.report.is_full() {
            // Only counted.
            return section.wrong(key, "", None);
        }
        let known = || self.0.get(of).into_iter().flatten().map(String::as_str);
        let told = shortened(name);
        let message = match known().next() {
            None => format!("{told:?} is none; there is no [{of}] in the file"),
            Some(_) => format!("{told:?} is none of [{of}]; there are {}", listed(known())),
        };
        section.wrong(key, message, section.report.near(name, known()));
    }
}

/// What signals watch must be there.
fn check_watched(root: &Section<'_, '_>, config: &PolicyConfig, names: &Names) {
    let Some(section) = root.table("shedders", "") else { return };
    for (name, shedder) in &config.shedders {
        for signal in &shedder.signals {
            let (of, key, watched) = match &signal.of {
                Some(Watched::Queue(watched)) => ("queues", "queue", watched),
                Some(Watched::Concurrency(watched)) => ("concurrency", "concurrency", watched),
                None => continue,
            };
            if names.has(of, watched) {
                continue;
            }
            let table = section.table(name, "").and_then(|it| it.table("signals", "")?.table(signal.kind.name(), ""));
            if let Some(table) = table {
                names.tell(&table, key, of, watched);
            }
        }
    }
}

/// `enabled` and `dry_run`, which most objects have.
pub(super) fn put_mode(section: &Section<'_, '_>, given: &mut Settings) {
    for key in ["enabled", "dry_run"] {
        given.put_some(key, section.flag(key).map(Value::Flag));
    }
}

pub(super) fn mode(given: &Settings) -> Mode {
    Mode::of(given.flag("enabled"), given.flag("dry_run").unwrap_or(false))
}

pub(super) fn conflict(field: &'static str, message: &str) -> ConfigError {
    ConfigError::new(ConfigErrorKind::Conflict, field, message)
}
