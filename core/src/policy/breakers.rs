//! `[breakers]`.

use super::section::Section;
use super::value::{Settings, Value};
use crate::arena::check_object_name;
use crate::breaker::{BreakerConfig, SETTINGS};
use crate::retry::{self, BUDGET_SETTINGS, RetryBudgetConfig, RetryConfig};
use crate::setting::Value as Given;
use std::time::Duration;

/// How calls of a dependency are made again, as a file says it under its breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetrySettings {
    /// The retry policy.
    pub config: RetryConfig,
    /// What its retries may cost all callers together.
    pub budget: Option<RetryBudgetConfig>,
}

/// The name, in a named scope, of the retry budget of a breaker: it is an object beside it.
pub(super) fn budget_name(breaker: &str) -> String {
    format!("{breaker}:retries")
}

/// A breaker as it was written, what it is made from, and how calls are made again.
pub(super) fn read(section: &Section<'_, '_>, name: &str) -> (Settings, Option<BreakerConfig>, Option<RetrySettings>) {
    let before = section.report.count();
    let (mut given, config) = breaker(section);
    let retry = section.table("retry", "a table such as { attempts = 3, budget = { ratio = 0.2 } }");
    let retry = retry.map(|table| {
        let (told, made) = self::retry(&table, name);
        given.put("retry", told);
        made
    });
    let is_whole = section.report.count() == before;
    (given, config.filter(|_| is_whole), retry.filter(|_| is_whole))
}

fn retry(table: &Section<'_, '_>, name: &str) -> (Settings, RetrySettings) {
    let names: Vec<_> = retry::SETTINGS.fields.iter().map(|field| field.name).collect();
    table.check_keys(&[&names[..], &["budget"]].concat());
    let mut given = table.fields(retry::SETTINGS.fields.iter().map(|field| (field.name, field)));
    let own = RetryConfig::default();
    let config = RetryConfig {
        attempts: given.count32("attempts").unwrap_or(own.attempts),
        base: given.span("base").unwrap_or(own.base),
        factor: given.real("factor").unwrap_or(own.factor),
        max_delay: given.span("max_delay").unwrap_or(own.max_delay),
        jitter: given.parsed("jitter").unwrap_or(own.jitter),
        deadline: given.span("deadline"),
        max_retry_after: given.span("max_retry_after").unwrap_or(own.max_retry_after),
    };
    let budget = table.table("budget", "a table such as { ratio = 0.2 }, or {} for its defaults").map(|table| {
        let names: Vec<_> = BUDGET_SETTINGS.fields.iter().map(|field| field.name).collect();
        table.check_keys(&names);
        if check_object_name(&budget_name(name)).is_err() {
            let message = "in a named scope it is called after its breaker with \":retries\", which is too long; give \
                           the breaker a shorter name";
            table.report.add(table.at, &table.path, message, None);
        }
        let told = table.fields(BUDGET_SETTINGS.fields.iter().map(|field| (field.name, field)));
        let own = RetryBudgetConfig::default();
        let budget = RetryBudgetConfig {
            ratio: told.real("ratio").unwrap_or(own.ratio),
            min_per_second: told.real("min_per_second").unwrap_or(own.min_per_second),
            ttl: told.span("ttl").unwrap_or(own.ttl),
            ..own
        };
        given.put("budget", told);
        budget
    });
    (given, RetrySettings { config, budget })
}

fn breaker(section: &Section<'_, '_>) -> (Settings, Option<BreakerConfig>) {
    let names: Vec<_> = SETTINGS.fields.iter().map(|field| field.name).collect();
    section.check_keys(&[&names[..], &["retry"]].concat());
    let before = section.report.count();
    let given = section.fields(SETTINGS.fields.iter().map(|field| (field.name, field)));
    let windows = ["window_calls", "window_duration"];
    if windows.iter().all(|window| section.find(window).is_some()) {
        let last = windows.into_iter().max_by_key(|window| section.key_at(window)).unwrap_or(windows[1]);
        let other = windows[usize::from(last == windows[0])];
        section.wrong_key(last, format!("a breaker has one window; leave out this or {other}"), None);
    }
    if section.report.count() > before {
        return (given, None);
    }
    let config = config(&given);
    if let Err(error) = config.validate() {
        section.told(&error, str::to_owned);
        return (given, None);
    }
    (given, Some(config))
}

fn config(given: &Settings) -> BreakerConfig {
    let mut config = BreakerConfig::default();
    for field in SETTINGS.fields {
        let value = match given.get(field.name) {
            Some(Value::Count(count)) => Given::Count(*count),
            Some(Value::Real(real)) => Given::Real(*real),
            Some(Value::Span(ns)) => Given::Span(Duration::from_nanos(*ns)),
            _ => continue,
        };
        config.set(field, Some(value));
    }
    config
}
