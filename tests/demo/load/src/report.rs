//! What is told: a JSON line a second while it runs, a line for each request at the end.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use serde::Serialize;

use crate::client::Outcome;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub seq: u64,
    pub outcome: Outcome,
    pub sent_us: u64,
    pub done_us: u64,
    pub latency_us: u64,
}

/// One second: what left in it and what was answered in it.
#[derive(Debug, Serialize)]
struct Line {
    second: u64,
    /// When the first request was to leave, in microseconds since 1970.
    start_us: u64,
    offered: u64,
    in_flight: u64,
    accepted: usize,
    limited: usize,
    unavailable: usize,
    failed: usize,
    timeouts: usize,
    dropped: usize,
    not_sent: usize,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

/// How far the last line went.
#[derive(Debug, Default)]
struct Told {
    sent: u64,
    records: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Report {
    /// When the first request was to leave, in microseconds since 1970.
    pub start_us: u64,
    /// Requests that have left so far.
    pub sent: u64,
    records: Vec<Record>,
    told: Told,
}

impl Report {
    pub(crate) fn add(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Requests without an answer so far.
    pub(crate) fn in_flight(&self) -> u64 {
        self.sent - self.records.len() as u64
    }

    /// The line for everything since the last one.
    pub(crate) fn line(&mut self, second: u64) -> String {
        let new = &self.records[self.told.records..];
        let count = |wanted: fn(u16) -> bool| {
            new.iter().filter(|r| matches!(r.outcome, Outcome::Answer { status, .. } if wanted(status))).count()
        };
        let of = |wanted: Outcome| new.iter().filter(|r| r.outcome == wanted).count();
        let mut latencies: Vec<u64> =
            new.iter().filter(|r| r.outcome != Outcome::NotSent).map(|r| r.latency_us).collect();
        latencies.sort_unstable();
        let not_sent = of(Outcome::NotSent);
        let line = Line {
            second,
            start_us: self.start_us,
            offered: (self.sent - self.told.sent).saturating_sub(not_sent as u64),
            in_flight: self.in_flight(),
            accepted: count(|status| status < 300),
            limited: count(|status| status == 429),
            unavailable: count(|status| status == 503),
            failed: count(|status| status >= 300 && status != 429 && status != 503),
            timeouts: of(Outcome::Timeout),
            dropped: of(Outcome::Dropped),
            not_sent,
            p50_ms: percentile(&latencies, 50),
            p99_ms: percentile(&latencies, 99),
        };
        self.told = Told { sent: self.sent, records: self.records.len() };
        serde_json::to_string(&line).expect("numbers only")
    }

    /// CSV: `outcome` is the status, or `timeout`, `dropped`, `not_sent`; `retry_after` is 1 where that header came;
    /// `process` is what `X-Process` said, else 0.
    pub(crate) fn write_records(&self, path: &Path) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        writeln!(out, "seq,outcome,sent_us,done_us,latency_us,retry_after,process")?;
        for Record { seq, outcome, sent_us, done_us, latency_us } in &self.records {
            let (name, retry_after, process) = match outcome {
                Outcome::Answer { status, retry_after, process } => {
                    (status.to_string(), u8::from(*retry_after), *process)
                }
                Outcome::Timeout => (String::from("timeout"), 0, 0),
                Outcome::Dropped => (String::from("dropped"), 0, 0),
                Outcome::NotSent => (String::from("not_sent"), 0, 0),
            };
            writeln!(out, "{seq},{name},{sent_us},{done_us},{latency_us},{retry_after},{process}")?;
        }
        out.flush()
    }
}

/// Nearest rank, in milliseconds.
fn percentile(sorted_us: &[u64], percent: usize) -> Option<f64> {
    let rank = (sorted_us.len() * percent).div_ceil(100).max(1);
    sorted_us.get(rank - 1).map(|us| *us as f64 / 1e3)
}
