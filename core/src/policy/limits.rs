//! `[limits]`.

use super::config::{mode, put_mode};
use super::section::{Section, kind_of};
use super::value::{Settings, Value};
use crate::error::shortened;
use crate::limit::{
    Algorithm, BUCKET_SETTINGS, Block, BucketConfig, LIMITER_SETTINGS, LimiterConfig, RateLimiter, TokenBucket, WarmUp,
};
use crate::setting::{Field, POLICY, Preset, Table};
use crate::{ConfigError, ManualClock, Quota};
use std::fmt;
use std::str::FromStr;
use toml::de::DeValue;

/// A limit, as a file says it.
#[derive(Clone, Debug)]
pub enum LimitPolicy {
    /// One of everybody together: a token bucket.
    Together {
        /// Its rate and burst.
        quota: Quota,
        /// All else.
        options: BucketConfig,
    },
    /// One for each key.
    PerKey {
        /// All of it.
        config: LimiterConfig,
        /// What its callers are counted by.
        key: Counted,
        /// Other quotas, by name.
        tiers: Vec<(String, Quota)>,
    },
}

/// What callers are counted by: `"client_ip"`, `"first_of(user, header:x-api-key, client_ip)"`. Who asks a gate gives
/// the keys himself; this is for adapters, which find them in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The client's address.
    ClientIp,
    /// Who is logged in, as the application knows it.
    User,
    /// The route that a request goes to.
    Route,
    /// A header of the request, in small letters.
    Header(String),
    /// The first of them that a request has.
    FirstOf(Vec<Self>),
}

const HOW: &str =
    "write client_ip, user, route, header:NAME, or first_of(…, …) of them, such as \"first_of(user, client_ip)\"";

impl FromStr for Counted {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let error = |what: &str| Err(ConfigError::syntax("key", format!("{what:?} is nothing to count by; {HOW}")));
        let one = |text: &str| match text.trim() {
            "client_ip" => Ok(Self::ClientIp),
            "user" => Ok(Self::User),
            "route" => Ok(Self::Route),
            text => match text.strip_prefix("header:").map(str::trim) {
                Some(name) if is_token(name) => Ok(Self::Header(name.to_ascii_lowercase())),
                _ => error(&shortened(text)),
            },
        };
        let trimmed = text.trim();
        match trimmed.strip_prefix("first_of(").and_then(|inner| inner.strip_suffix(')')) {
            Some(inner) => inner.split(',').map(one).collect::<Result<_, _>>().map(Self::FirstOf),
            None => one(trimmed),
        }
    }
}

/// A header's name, RFC 9110.
fn is_token(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.chars().all(letter)
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientIp => f.write_str("client_ip"),
            Self::User => f.write_str("user"),
            Self::Route => f.write_str("route"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::FirstOf(all) => {
                let all: Vec<_> = all.iter().map(Self::to_string).collect();
                write!(f, "first_of({})", all.join(", "))
            }
        }
    }
}

/// What is a number beside its period elsewhere is a text here, and `block` is a table of its own.
fn fields(table: &'static Table) -> impl Iterator<Item = &'static Field> {
    let elsewhere = ["period", "stripes"];
    table.fields.iter().filter(move |field| !elsewhere.contains(&field.name) && !field.name.starts_with("block_"))
}

fn of_block() -> impl Iterator<Item = (&'static str, &'static Field)> {
    LIMITER_SETTINGS.fields.iter().filter_map(|field| Some((field.name.strip_prefix("block_")?, field)))
}

/// What a limit per key has beside.
const PER_KEY: [&str; 3] = ["key", "tiers", "block"];
const SWITCHES: [&str; 2] = ["enabled", "dry_run"];

/// A limit as it was written, and what it is made from.
pub(super) fn read(section: &Section<'_, '_>) -> (Settings, Option<LimitPolicy>) {
    let names = |table| fields(table).map(|field| field.name).collect::<Vec<_>>();
    let (of_bucket, of_limiter) = (names(&BUCKET_SETTINGS), names(&LIMITER_SETTINGS));
    section.check_keys(&[&of_limiter[..], &PER_KEY[..], &SWITCHES[..]].concat());
    if section.find("key").is_some() {
        return per_key(section);
    }
    let before = section.report.count();
    for (key, _) in section.items() {
        if !of_bucket.contains(&key) && (of_limiter.contains(&key) || PER_KEY.contains(&key)) {
            let message =
                "is of a limit per key; say what is counted by, such as key = \"client_ip\", or leave this out";
            section.wrong_key(key, message, None);
        }
    }
    let mut given = section.fields(fields(&BUCKET_SETTINGS).map(|field| (field.name, field)));
    put_mode(section, &mut given);
    if section.report.count() > before {
        return (given, None);
    }
    let made = quota(&given).and_then(|quota| {
        let options = BucketConfig { warm_up: warm_up(&given)?, mode: mode(&given), ..BucketConfig::default() };
        // What is wrong with it is found by making one.
        TokenBucket::with_options(quota, options, ManualClock::new(0).into())?;
        Ok(LimitPolicy::Together { quota, options })
    });
    (given, made.map_err(|error| section.told(&error, str::to_owned)).ok())
}

fn per_key(section: &Section<'_, '_>) -> (Settings, Option<LimitPolicy>) {
    let before = section.report.count();
    let mut given = section.fields(fields(&LIMITER_SETTINGS).map(|field| (field.name, field)));
    put_mode(section, &mut given);
    let key = section.text("key", "a text such as \"client_ip\"").and_then(|text| {
        let key = text.parse::<Counted>();
        key.map_err(|error| section.wrong("key", error.message_in(&POLICY), None)).ok()
    });
    let key = key.inspect(|key| given.put("key", key.to_string()));
    let block = block(section, &mut given);
    let tiers = tiers(section, &mut given);
    if section.report.count() > before {
        return (given, None);
    }
    let made = config(&given).and_then(|config| {
        let config = LimiterConfig { block: block.transpose()?, ..config };
        // What is wrong with it is found by making a small one.
        let small = LimiterConfig { max_keys: 1, huge_pages: false, ..config };
        Ok((RateLimiter::with_config(small, ManualClock::new(0).into())?, config))
    });
    let Ok((small, config)) = made.map_err(|error| section.told(&error, |field| field.replacen("block_", "block.", 1)))
    else {
        return (given, None);
    };
    if let Some(table) = section.table("tiers", "") {
        for (name, quota) in &tiers {
            if let Err(error) = small.tier(*quota) {
                table.wrong(name, error.message_in(&POLICY), None);
            }
        }
    }
    let made = key.filter(|_| section.report.count() == before);
    (given, made.map(|key| LimitPolicy::PerKey { config, key, tiers }))
}

fn config(given: &Settings) -> Result<LimiterConfig, ConfigError> {
    let algorithm = given.parsed("algorithm").unwrap_or(Algorithm::TokenBucket);
    let rate = rate_of(given)?;
    let (burst, queue) = (given.count("burst"), given.count("queue"));
    let quota = match (algorithm, burst, queue) {
        (Algorithm::LeakyBucket, Some(_), _) => {
            return Err(super::config::conflict(
                "burst",
                "a leaky bucket has a queue instead; say queue, or leave it out",
            ));
        }
        (Algorithm::LeakyBucket, None, Some(queue)) => rate.with_burst(queue + 1)?,
        (_, _, Some(_)) => {
            let message = "is of a leaky bucket; say algorithm = \"leaky_bucket\", or leave it out";
            return Err(super::config::conflict("queue", message));
        }
        (algorithm, Some(_), _) if algorithm.is_window() => {
            let message = "a window admits its count and has no burst; leave it out";
            return Err(super::config::conflict("burst", message));
        }
        (_, Some(burst), None) => rate.with_burst(burst)?,
        (_, None, None) => rate,
    };
    let own = LimiterConfig::new(algorithm, quota);
    Ok(LimiterConfig {
        max_keys: given.count("max_keys").map_or(own.max_keys, |keys| keys as usize),
        fastest: given.text("fastest").map(str::parse).transpose()?,
        warm_up: warm_up(given)?,
        mode: mode(given),
        huge_pages: given.flag("huge_pages").unwrap_or(own.huge_pages),
        ..own
    })
}

fn rate_of(given: &Settings) -> Result<Quota, ConfigError> {
    given.text("rate").unwrap_or_default().parse()
}

fn quota(given: &Settings) -> Result<Quota, ConfigError> {
    let rate = rate_of(given)?;
    given.count("burst").map_or(Ok(rate), |burst| rate.with_burst(burst))
}

fn warm_up(given: &Settings) -> Result<Option<WarmUp>, ConfigError> {
    let from = given.real("warm_up_from");
    match given.span("warm_up") {
        Some(period) => WarmUp::new(period, from.unwrap_or(WarmUp::FROM)).map(Some),
        None if from.is_some() => {
            let message = "there is no warm_up that would start there; say how long it lasts, or leave this out";
            Err(super::config::conflict("warm_up_from", message))
        }
        None => Ok(None),
    }
}

fn block(section: &Section<'_, '_>, given: &mut Settings) -> Option<Result<Block, ConfigError>> {
    let table = section.table("block", "a table such as { after = 3, within = \"1m\", duration = \"10m\" }")?;
    table.check_keys(&of_block().map(|(key, _)| key).collect::<Vec<_>>());
    let needed = ["after", "within", "duration"];
    let fields: Vec<_> = of_block()
        .map(|(key, field)| {
            let default = if needed.contains(&key) { Preset::Required } else { field.default };
            (key, Field { default, ..*field })
        })
        .collect();
    let own = table.fields(fields.iter().map(|(key, field)| (*key, field)));
    let made =
        own.count32("after").zip(own.span("within")).zip(own.span("duration")).map(|((after, within), duration)| {
            let growth = own.real("growth").unwrap_or(Block::GROWTH);
            Block::new(after, within, duration, growth, own.span("max"))
        });
    given.put("block", own);
    made
}

fn tiers(section: &Section<'_, '_>, given: &mut Settings) -> Vec<(String, Quota)> {
    let wanted = "a table of names and rates, such as { pro = \"1000/minute\" }";
    let Some(table) = section.table("tiers", wanted) else { return Vec::new() };
    let (mut tiers, mut told) = (Vec::new(), Settings::default());
    let field = |name| LIMITER_SETTINGS.field(name);
    for (name, value) in table.items() {
        match value.get_ref() {
            DeValue::String(_) => {
                if let Some(Value::Text(text)) = table.field(name, field("rate")) {
                    tiers.extend(text.parse().map(|quota| (name.to_owned(), quota)));
                    told.put(name, text);
                }
            }
            DeValue::Table(_) => {
                let Some(tier) = table.table(name, "") else { continue };
                tier.check_keys(&["rate", "burst"]);
                let own = tier.fields(["rate", "burst"].map(|name| (name, field(name))));
                match quota(&own) {
                    Ok(quota) => tiers.push((name.to_owned(), quota)),
                    // A rate that is not there, or none, was told.
                    Err(_) if own.text("rate").is_none() => {}
                    Err(error) => tier.told(&error, str::to_owned),
                }
                told.put(name, own);
            }
            other => {
                let got = kind_of(other);
                table.wrong(
                    name,
                    format!("must be a rate such as \"1000/minute\", or {{ rate, burst }}, got {got}"),
                    None,
                );
            }
        }
    }
    given.put("tiers", told);
    // As they are shown: in whatever order a file names them, it says the same.
    tiers.sort_by(|(one, _), (other, _)| one.cmp(other));
    tiers
}
