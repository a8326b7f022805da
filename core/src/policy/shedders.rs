//! `[shedders]`.

use super::config::{mode, put_mode};
use super::duration;
use super::section::{Section, kind_of};
use super::value::{Settings, Value};
use crate::shed::{SETTINGS, ShedderConfig, Signal, SignalKind};
use toml::Spanned;
use toml::de::DeValue;

/// A load shedder, as a file says it: its settings, without signals, and those.
#[derive(Clone, Debug)]
pub struct ShedderPolicy {
    /// All but the signals.
    pub config: ShedderConfig,
    /// What tells it that there is too much to do.
    pub signals: Vec<SignalPolicy>,
}

/// A signal of a load shedder.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalPolicy {
    /// What it measures.
    pub kind: SignalKind,
    /// That of its kind; a gauge has one of its own, by which it is told.
    pub name: String,
    /// The pressure begins here; seconds of what is a time.
    pub start: f64,
    /// And is full here.
    pub full: f64,
    /// Of what; nothing of the whole process.
    pub of: Option<Watched>,
}

impl SignalPolicy {
    /// Without what reads it.
    pub(super) fn signal(&self) -> Signal {
        Signal::new(self.kind).named(&self.name).range(self.start, self.full)
    }
}

/// What a signal watches, by its name in the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// A queue.
    Queue(String),
    /// A concurrency limit.
    Concurrency(String),
}

/// Of what a kind of signal is.
fn source(kind: SignalKind) -> Option<&'static str> {
    match kind {
        SignalKind::QueueFill | SignalKind::QueueDelay => Some("queue"),
        SignalKind::InFlight => Some("concurrency"),
        _ => None,
    }
}

fn is_time(kind: SignalKind) -> bool {
    matches!(kind, SignalKind::QueueDelay | SignalKind::LoopLag)
}

/// A load shedder as it was written, and what it is made from.
pub(super) fn read(section: &Section<'_, '_>) -> (Settings, Option<ShedderPolicy>) {
    let names: Vec<_> = SETTINGS.fields.iter().map(|field| field.name).collect();
    section.check_keys(&[&["signals"], &names[..], &["enabled", "dry_run"]].concat());
    let before = section.report.count();
    let mut given = section.fields(SETTINGS.fields.iter().map(|field| (field.name, field)));
    put_mode(section, &mut given);
    let signals = signals(section);
    given.put("signals", Value::List(signals.iter().map(told).collect()));
    if section.report.count() > before {
        return (given, None);
    }
    let config = config(&given, &signals);
    match config.check() {
        Ok(()) => (given, Some(ShedderPolicy { config: ShedderConfig { signals: Vec::new(), ..config }, signals })),
        Err(error) => {
            section.told(&error, str::to_owned);
            (given, None)
        }
    }
}

fn signals(section: &Section<'_, '_>) -> Vec<SignalPolicy> {
    if section.find("signals").is_none() {
        let message = "must be given: a table of signals and where their pressure begins and is full, such as \
                       { cpu = [0.8, 0.95] }";
        section.report.add(section.at, &section.path_of("signals"), message, None);
    }
    let Some(table) = section.table("signals", "a table of signals, such as { cpu = [0.8, 0.95] }") else {
        return Vec::new();
    };
    let mut signals = Vec::new();
    for (name, value) in table.items() {
        let Some(kind) = SignalKind::ALL.into_iter().find(|kind| kind.name() == name) else {
            let known = SignalKind::ALL.map(SignalKind::name);
            let message = format!("there is no such signal; there are {}", known.join(", "));
            table.wrong_key(name, message, table.report.near(name, known));
            continue;
        };
        match kind {
            SignalKind::Gauge => signals.extend(gauges(&table)),
            kind => signals.extend(signal(&table, kind, value)),
        }
    }
    // In a named scope their order is the object's: that of the file says nothing.
    signals.sort_by(|one, other| (one.kind.name(), &one.name).cmp(&(other.kind.name(), &other.name)));
    signals
}

/// Numbers of one's own, which code gives.
fn gauges(table: &Section<'_, '_>) -> Vec<SignalPolicy> {
    let name = SignalKind::Gauge.name();
    let Some(gauges) = table.table(name, "a table of gauges and their ranges, such as { backlog = [100, 1000] }")
    else {
        return Vec::new();
    };
    let gauge = |(name, _): (&str, _)| {
        if SignalKind::ALL.iter().any(|kind| kind.name() == name) {
            gauges.wrong_key(name, "is the name of a signal of tidegate's own; give the gauge another", None);
        }
        let (start, full) = range(&gauges, name, SignalKind::Gauge)?;
        Some(SignalPolicy { kind: SignalKind::Gauge, name: name.to_owned(), start, full, of: None })
    };
    gauges.items().into_iter().filter_map(gauge).collect()
}

fn signal(table: &Section<'_, '_>, kind: SignalKind, value: &Spanned<DeValue<'_>>) -> Option<SignalPolicy> {
    let name = kind.name();
    let numbers = if is_time(kind) { "[\"20ms\", \"200ms\"]" } else { "[0.8, 0.95]" };
    let (of, range) = match (source(kind), value.get_ref()) {
        (None, DeValue::Array(_)) => (None, range(table, name, kind)?),
        (Some(source), DeValue::Table(_)) => {
            let own = table.table(name, "")?;
            own.check_keys(&[source, "range"]);
            let of = own.text(source, "the name of one");
            if own.find(source).is_none() {
                own.report.add(own.at, &own.path_of(source), "must be given: the name of the one to watch", None);
            }
            let given = own.find("range").map(|_| self::range(&own, "range", kind));
            let range = match given {
                Some(range) => range?,
                None => kind.range()?,
            };
            let of = of?;
            let of = if source == "queue" { Watched::Queue(of) } else { Watched::Concurrency(of) };
            (Some(of), range)
        }
        (None, _) => {
            table.mistyped(name, &format!("where the pressure begins and where it is full, such as {numbers}"));
            return None;
        }
        (Some(source), _) => {
            let wanted = format!("a table of what it watches, such as {{ {source} = \"orders\", range = {numbers} }}");
            table.mistyped(name, &wanted);
            return None;
        }
    };
    Some(SignalPolicy { kind, name: name.to_owned(), start: range.0, full: range.1, of })
}

fn range(table: &Section<'_, '_>, key: &str, kind: SignalKind) -> Option<(f64, f64)> {
    let wanted = match is_time(kind) {
        true => "two spans of time, the shorter one first, such as [\"20ms\", \"200ms\"]",
        false => "two numbers, the lower one first, such as [0.8, 0.95]",
    };
    let DeValue::Array(list) = table.find(key)?.get_ref() else {
        table.mistyped(key, wanted);
        return None;
    };
    let number = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(text) if is_time(kind) => duration::parse(text).map(|ns| ns as f64 / 1e9),
        DeValue::Float(number) if !is_time(kind) => number.as_str().parse().ok(),
        DeValue::Integer(number) if !is_time(kind) => number.as_str().parse().ok(),
        _ => None,
    };
    let numbers: Vec<f64> = list.iter().filter_map(number).collect();
    match (list.len(), numbers.as_slice()) {
        (2, &[start, full]) if start < full && start.is_finite() && full.is_finite() => Some((start, full)),
        _ => {
            let got: Vec<_> = list.iter().map(|value| kind_of(value.get_ref())).collect();
            let got = if list.len() == 2 && numbers.len() == 2 {
                String::new()
            } else {
                format!("; these are {}", got.join(", "))
            };
            table.wrong(key, format!("must be {wanted}{got}"), None);
            None
        }
    }
}

fn told(signal: &SignalPolicy) -> Value {
    let mut told = Settings::default();
    told.put("kind", signal.kind.name());
    if signal.kind == SignalKind::Gauge {
        told.put("name", signal.name.as_str());
    }
    match &signal.of {
        Some(Watched::Queue(name)) => told.put("queue", name.as_str()),
        Some(Watched::Concurrency(name)) => told.put("concurrency", name.as_str()),
        None => {}
    }
    told.put("start", signal.start);
    told.put("full", signal.full);
    Value::Map(told)
}

fn config(given: &Settings, signals: &[SignalPolicy]) -> ShedderConfig {
    let own = ShedderConfig::new(signals.iter().map(SignalPolicy::signal).collect());
    ShedderConfig {
        rise: given.real("rise").unwrap_or(own.rise),
        fall: given.real("fall").unwrap_or(own.fall),
        min_admit: given.real("min_admit").unwrap_or(own.min_admit),
        critical_at: given.real("critical_at").unwrap_or(own.critical_at),
        critical_after: given.span("critical_after").unwrap_or(own.critical_after),
        cool_off: given.span("cool_off").unwrap_or(own.cool_off),
        interval: given.span("interval").unwrap_or(own.interval),
        cpu_limit: given.real("cpu_limit"),
        mode: mode(given),
        ..own
    }
}
