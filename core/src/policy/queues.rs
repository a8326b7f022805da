//! `[queues]`.

use super::section::Section;
use super::value::Settings;
use crate::queue::{QueueConfig, SETTINGS};

/// A queue as it was written, and what it is made from.
pub(super) fn read(section: &Section<'_, '_>) -> (Settings, Option<QueueConfig>) {
    let names: Vec<_> = SETTINGS.fields.iter().map(|field| field.name).collect();
    section.check_keys(&names);
    let before = section.report.count();
    let given = section.fields(SETTINGS.fields.iter().map(|field| (field.name, field)));
    if section.report.count() > before {
        return (given, None);
    }
    let config = config(&given);
    match config.check() {
        Ok(()) => (given, Some(config)),
        Err(error) => {
            section.told(&error, str::to_owned);
            (given, None)
        }
    }
}

fn config(given: &Settings) -> QueueConfig {
    let own = QueueConfig::new(given.count("capacity").unwrap_or(1) as usize);
    QueueConfig {
        high_watermark: given.real("high_watermark").unwrap_or(own.high_watermark),
        low_watermark: given.real("low_watermark").unwrap_or(own.low_watermark),
        on_full: given.parsed("on_full").unwrap_or(own.on_full),
        sojourn: given.flag("sojourn").unwrap_or(own.sojourn),
        discipline: given.parsed("discipline").unwrap_or(own.discipline),
        target: given.span("target").unwrap_or(own.target),
        interval: given.span("interval").unwrap_or(own.interval),
        lanes: given.count("lanes").map_or(own.lanes, |lanes| lanes as usize),
        max_age: given.span("max_age"),
        ..own
    }
}
