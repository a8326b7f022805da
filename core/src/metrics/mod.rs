//! Figures for Prometheus and its kin: what objects count, as the text that a scrape reads.
//!
//! A [`Metrics`] is one scrape: it reads the objects that it is given, those of an arena by their records, and writes.
//! Nothing here stands on a decision's path, and no object knows that it is read.
//!
//! - `family.rs`: each family's name, type, labels and help, once for all languages.
//! - `measure.rs`: what each kind of object says.
//! - `policy.rs`: all that a policy has made.
//! - `text.rs`: the formats.
//!
//! How many series there are is bounded by construction: labels are names that the program gives, states, priorities
//! and reasons; never keys, hosts or users. A registry's breakers are counted by their states.
//!
//! In an arena the counts are those of all processes, the dead included, so that any worker's page is the whole
//! host's. Counters never fall, except where an object is made anew.

mod family;
mod measure;
#[cfg(feature = "policy")]
mod policy;
mod text;

use crate::inspect::Object;
use crate::{Arena, ConfigError, ConfigErrorKind};
pub use family::{Family, FamilyType};
use measure::Labels;
pub use measure::Measured;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// How figures are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricsFormat {
    /// Prometheus' text, version 0.0.4.
    #[default]
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// An array of families, for bindings to other libraries.
    Json,
}

impl MetricsFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Prometheus, Self::OpenMetrics, Self::Json];

    /// The name in every language: `"prometheus"`, `"openmetrics"`, `"json"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::OpenMetrics => "openmetrics",
            Self::Json => "json",
        }
    }

    /// What an HTTP answer says in its Content-Type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Json => "application/json",
        }
    }

    /// What a scraper's Accept asks for: OpenMetrics where it is named, else Prometheus' text.
    pub fn accepted(accept: &str) -> Self {
        match accept.split(',').any(|kind| kind.trim_start().starts_with("application/openmetrics-text")) {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }
}

impl fmt::Display for MetricsFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for MetricsFormat {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(|format| format!("{:?}", format.name())).join(", ");
            ConfigError::syntax("format", format!("{text:?} is none of {names}"))
        })
    }
}

/// One value of a family.
#[derive(Clone, Debug, PartialEq)]
struct Sample {
    labels: Labels,
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    /// Exact, however large.
    Whole(u64),
    Real(f64),
}

/// One scrape of objects' counts and states.
///
/// ```
/// use tidegate::TokenBucket;
/// use tidegate::metrics::{Metrics, MetricsFormat};
///
/// let bucket = TokenBucket::new("100/s".parse()?);
/// assert!(bucket.try_acquire(1));
///
/// let mut metrics = Metrics::new();
/// metrics.add("orders", &bucket)?;
/// let page = metrics.render(MetricsFormat::Prometheus);
/// let line = r#"tidegate_decisions_total{scope="process",kind="token_bucket",name="orders",decision="admitted"} 1"#;
/// assert!(page.contains(line), "{page}");
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
///
/// Thread safety: plain data; the objects that it reads may be in use meanwhile.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// By the number of their family.
    samples: [Vec<Sample>; Family::COUNT],
    /// Scope, kind and name of what was read.
    seen: HashSet<(String, &'static str, String)>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { samples: std::array::from_fn(|_| Vec::new()), seen: HashSet::new() }
    }
}

/// The scope of what lives in memory of its own.
pub const PRIVATE: &str = "process";
/// What a policy is called among what was read.
const POLICY: &str = "policy";

impl Metrics {
    /// An empty page.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads an object that lives in memory of its own. `name`: for the label; names of one kind differ.
    ///
    /// Errors: `name`, when it is empty, or an object of this kind has it already: their counts would be one series.
    pub fn add(&mut self, name: &str, object: &impl Measured) -> Result<(), ConfigError> {
        if name.is_empty() {
            return Err(ConfigError::syntax("name", "must not be empty: Prometheus takes that for no label"));
        }
        if self.read(PRIVATE, name, object) {
            return Ok(());
        }
        let kind = object.kind();
        let message = format!("{name:?} is the name of another {kind} here; each needs one of its own");
        Err(ConfigError::new(ConfigErrorKind::Conflict, "name", message))
    }

    /// Reads an object that lives in the scope `scope` (`"host:orders"`) under `name`. Returns false, and reads
    /// nothing, where it has been read already.
    pub fn add_in(&mut self, scope: &str, name: &str, object: &impl Measured) -> bool {
        self.read(scope, name, object)
    }

    /// Reads all objects of an arena, by their records; one whose record is damaged is left out. Those that were read
    /// already are not read again.
    pub fn add_arena(&mut self, arena: &Arc<Arena>) {
        let scope = format!("{}:{}", if arena.path().is_some() { "host" } else { PRIVATE }, arena.name());
        if let Some(in_force) = arena.policy()
            && self.seen.insert((scope.clone(), POLICY, String::new()))
        {
            let hash = format!("{:016x}", in_force.hash);
            self.put(Family::PolicyInfo, [("scope", scope.clone()), ("hash", hash)], 1);
        }
        for name in arena.objects().into_iter().map(|info| info.name) {
            // Removed meanwhile, or damaged.
            let Some(Ok(object)) = arena.to_look(&name) else { continue };
            match &object {
                Object::Bucket(object) => self.read(&scope, &name, object),
                Object::Limiter(object) => self.read(&scope, &name, object),
                Object::Breaker(object) => self.read(&scope, &name, object),
                Object::Concurrency(object) => self.read(&scope, &name, object),
                Object::RetryBudget(object) => self.read(&scope, &name, object),
                Object::Throttle(object) => self.read(&scope, &name, object),
                Object::BreakerRegistry(object) => self.read(&scope, &name, object),
                Object::Shedder(object) => self.read(&scope, &name, object),
                Object::Cluster(object) => self.read(&scope, &name, object),
            };
        }
    }

    /// Tells of a policy's hash, and how many of its reloads in this process succeeded and failed: one policy a page.
    /// Returns false, and tells nothing, where there is one.
    pub fn add_policy(&mut self, hash: &str, reloaded: u64, failed: u64) -> bool {
        let is_first = self.seen.insert((PRIVATE.to_owned(), POLICY, String::new()));
        if is_first {
            let scope = || ("scope", PRIVATE.to_owned());
            self.put(Family::PolicyInfo, [scope(), ("hash", hash.to_owned())], 1);
            for (result, count) in [("ok", reloaded), ("failed", failed)] {
                self.put(Family::PolicyReloads, [scope(), ("result", result.to_owned())], count);
            }
        }
        is_first
    }

    fn put(&mut self, family: Family, labels: [(&'static str, String); 2], value: u64) {
        self.samples[family as usize].push(Sample { labels: labels.into(), value: Value::Whole(value) });
    }

    /// The page.
    pub fn render(&self, format: MetricsFormat) -> String {
        text::render(self, format)
    }

    fn read(&mut self, scope: &str, name: &str, object: &impl Measured) -> bool {
        let fresh = self.seen.insert((scope.to_owned(), object.kind(), name.to_owned()));
        if fresh {
            object.measure(&mut measure::Page { metrics: self, scope, name });
        }
        fresh
    }
}
