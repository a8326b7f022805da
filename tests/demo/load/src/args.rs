//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use lexopt::prelude::*;

pub(crate) const USAGE: &str = "usage: tidegate-demo-load --address 127.0.0.1:8000 --records FILE
         [--path /orders] [--rate 5000] [--seconds 10] [--timeout-ms 2000] [--prefix order]";

#[derive(Debug)]
pub(crate) struct Args {
    pub address: SocketAddr,
    pub path: String,
    /// Requests per second.
    pub rate: u64,
    pub seconds: u64,
    pub timeout_ms: u64,
    /// Order ids are `PREFIX-000000`, `PREFIX-000001`, …
    pub prefix: String,
    pub records: PathBuf,
}

impl Args {
    pub(crate) fn from_command_line() -> Result<Self, lexopt::Error> {
        let (mut address, mut records) = (None, None);
        let (mut rate, mut seconds, mut timeout_ms) = (5_000, 10, 2_000);
        let (mut path, mut prefix) = (String::from("/orders"), String::from("order"));
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("address") => address = Some(parser.value()?.parse()?),
                Long("path") => path = parser.value()?.string()?,
                Long("rate") => rate = parser.value()?.parse()?,
                Long("seconds") => seconds = parser.value()?.parse()?,
                Long("timeout-ms") => timeout_ms = parser.value()?.parse()?,
                Long("prefix") => prefix = parser.value()?.string()?,
                Long("records") => records = Some(PathBuf::from(parser.value()?)),
                other => return Err(other.unexpected()),
            }
        }
        if rate == 0 || rate > 100_000 || seconds == 0 || seconds > 600 || timeout_ms == 0 {
            return Err("--rate is 1..=100000, --seconds 1..=600, --timeout-ms at least 1".into());
        }
        let address = address.ok_or("--address is missing")?;
        let records = records.ok_or("--records is missing")?;
        Ok(Self { address, path, rate, seconds, timeout_ms, prefix, records })
    }
}
