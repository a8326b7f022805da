//! Plays the HTTP vectors, which every binding plays:
//! `tests/vectors/{client_address,access_list,ratelimit_fields,http_answers,overload_waits}.json`.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::{Duration, SystemTime};
use tidegate::http::fields::{Policy, QuotaPolicy, ServiceLimit, parse_policies, parse_service_limits};
use tidegate::http::problem::{self, ProblemType};
use tidegate::http::{self, AccessList, ClientAddress, RateLimitStatus, parse_address};
use tidegate::outcome::Outcome;
use tidegate::{ConfigError, Decision, TokenBucket, decision};

#[derive(Deserialize)]
struct Case<C, A> {
    name: String,
    config: C,
    asks: Option<Vec<A>>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct File<C, A> {
    version: u32,
    cases: Vec<Case<C, A>>,
    #[serde(default)]
    parses: Vec<Parse>,
    #[serde(default)]
    problems: Vec<Problem>,
}

/// Makes each case's subject and puts its questions, or expects the error. Gives the file back for what else is in it.
fn play<C: DeserializeOwned, A: DeserializeOwned, S>(
    file: &str,
    make: impl Fn(&C) -> Result<S, ConfigError>,
    ask: impl Fn(&S, &A, &str),
) -> File<C, A> {
    let path = format!("{}/../tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file: File<C, A> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(file.version, 1);
    for case in &file.cases {
        let made = make(&case.config);
        match (made, &case.asks, &case.error) {
            (Ok(subject), Some(asks), None) => asks.iter().for_each(|question| ask(&subject, question, &case.name)),
            (Err(error), None, Some(field)) => assert_eq!(error.field(), field, "{}: {error}", case.name),
            (Err(error), ..) => panic!("{}: {error}", case.name),
            (Ok(_), ..) => panic!("{}: expected an error", case.name),
        }
    }
    file
}

#[derive(Deserialize)]
struct Clients {
    #[serde(default)]
    trusted: Vec<String>,
    header: Option<String>,
    ipv4_prefix: Option<u8>,
    ipv6_prefix: Option<u8>,
}

#[derive(Deserialize)]
struct Request {
    peer: String,
    lines: Vec<String>,
    key: String,
}

#[test]
fn client_address() {
    let make = |config: &Clients| {
        let clients = ClientAddress::new().with_trusted(config.trusted.iter().map(String::as_str))?;
        let clients = clients.with_header(config.header.as_deref().unwrap_or("x-forwarded-for"))?;
        clients.with_prefixes(config.ipv4_prefix.unwrap_or(32), config.ipv6_prefix.unwrap_or(64))
    };
    play("client_address", make, |clients, request: &Request, case| {
        let key = clients.key(&request.peer, request.lines.iter().map(|line| line.as_bytes()));
        assert_eq!(key, request.key, "{case}: {} {:?}", request.peer, request.lines);
    });
}

#[derive(Deserialize)]
struct Lists {
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    deny: Vec<String>,
}

#[derive(Deserialize)]
struct Visitor {
    address: String,
    key: String,
    verdict: String,
}

#[test]
fn access_list() {
    let make = |config: &Lists| {
        AccessList::new(config.allow.iter().map(String::as_str), config.deny.iter().map(String::as_str))
    };
    play("access_list", make, |list, visitor: &Visitor, case| {
        let address = parse_address(visitor.address.as_bytes());
        let verdict = list.verdict(address, visitor.key.as_bytes());
        assert_eq!(verdict.name(), visitor.verdict, "{case}: {} {:?}", visitor.address, visitor.key);
    });
}

#[derive(Deserialize)]
struct Presentation {
    name: String,
    unit: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    decision: Decided,
    window_ns: Option<String>,
    partition_key: Option<String>,
    policy: String,
    limit: String,
    retry_after: Option<String>,
}

#[derive(Deserialize)]
struct Decided {
    allowed: bool,
    limit: u32,
    remaining: u32,
    retry_after_ns: String,
    reset_after_ns: String,
}

#[derive(Deserialize)]
struct Parse {
    field: String,
    value: String,
    members: Option<Vec<Member>>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Member {
    name: String,
    q: Option<u64>,
    qu: Option<String>,
    w: Option<u64>,
    r: Option<u64>,
    t: Option<u64>,
    pk: Option<String>,
}

#[derive(Deserialize)]
struct Problem {
    r#type: String,
    status: u16,
    violated: Vec<String>,
    body: String,
}

#[test]
fn ratelimit_fields() {
    let make = |config: &Presentation| {
        let policy = Policy::new(&config.name)?;
        config.unit.as_ref().map_or(Ok(policy.clone()), |unit| policy.with_unit(unit))
    };
    let file = play("ratelimit_fields", make, |policy, answer: &Answer, case| {
        let decision = decision(&answer.decision);
        let told = RateLimitStatus::of(&decision);
        let key = answer.partition_key.as_ref().map(String::as_bytes);
        let window = answer.window_ns.as_ref().map(|ns| Duration::from_nanos(number(ns)));
        let (mut quota, mut limit) = (String::new(), String::new());
        policy.write_quota(&mut quota, decision.limit, window, key);
        policy.write_limit(&mut limit, &told, key);
        assert_eq!((&quota, &limit), (&answer.policy, &answer.limit), "{case}");
        let retry_after = (!told.allowed).then(|| told.retry_after.to_string());
        assert_eq!(retry_after, answer.retry_after, "{case}");
    });
    for parse in &file.parses {
        let members = match parse.field.as_str() {
            "RateLimit-Policy" => parse_policies(&parse.value).map(|many| many.into_iter().map(of_policy).collect()),
            "RateLimit" => parse_service_limits(&parse.value).map(|many| many.into_iter().map(of_limit).collect()),
            other => panic!("no field {other}"),
        };
        assert_eq!(members.ok(), parse.members, "{}: {}", parse.field, parse.value);
    }
    for problem in &file.problems {
        let kind: ProblemType = problem.r#type.parse().expect("a problem type");
        assert_eq!(kind.status(), problem.status);
        let violated: Vec<&str> = problem.violated.iter().map(String::as_str).collect();
        assert_eq!(problem::body(kind, problem.status, kind.detail(), &violated), problem.body);
    }
    assert!(!file.parses.is_empty() && !file.problems.is_empty());
}

fn number(text: &str) -> u64 {
    if text == "never" { decision::NEVER } else { text.parse().expect("nanoseconds") }
}

fn decision(given: &Decided) -> Decision {
    let Decided { allowed, limit, remaining, .. } = *given;
    let (retry_after_ns, reset_after_ns) = (number(&given.retry_after_ns), number(&given.reset_after_ns));
    // Everything else that a decision may hold is as an untouched bucket has it.
    let base = TokenBucket::new("1/s".parse().expect("a rate")).peek();
    #[allow(clippy::needless_update)]
    Decision { allowed, limit, remaining, retry_after_ns, reset_after_ns, ..base }
}

fn text(bytes: Option<Vec<u8>>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8(bytes).expect("text in the vectors"))
}

fn of_policy(policy: QuotaPolicy) -> Member {
    let QuotaPolicy { name, quota, window, unit, partition_key } = policy;
    Member { name, q: Some(quota), w: window, qu: unit, pk: text(partition_key), ..Member::default() }
}

fn of_limit(limit: ServiceLimit) -> Member {
    let ServiceLimit { name, remaining, reset, partition_key } = limit;
    Member { name, r: Some(remaining), t: reset, pk: text(partition_key), ..Member::default() }
}

#[derive(Deserialize)]
struct Longest {
    max_retry_after_ns: String,
    slow_call_duration_ns: Option<String>,
}

#[derive(Deserialize)]
struct Answered {
    status: u16,
    retry_after: Option<String>,
    retry_after_ms: Option<String>,
    date: Option<String>,
    now_ms: Option<String>,
    duration_ns: Option<String>,
    outcome: String,
    retry_after_ns: Option<String>,
}

#[test]
fn http_answers() {
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let span = |text: &str| Duration::from_nanos(number(text));
    let make = |it: &Longest| Ok((span(&it.max_retry_after_ns), it.slow_call_duration_ns.as_deref().map(span)));
    play("http_answers", make, |&(most, slow), ask: &Answered, case| {
        let field = |text: &'_ Option<String>| text.clone().map(String::into_bytes);
        let [retry_after, retry_after_ms, date] = [&ask.retry_after, &ask.retry_after_ms, &ask.date].map(field);
        let answer = http::Answer {
            status: ask.status,
            retry_after: retry_after.as_deref(),
            retry_after_ms: retry_after_ms.as_deref(),
            date: date.as_deref(),
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(ask.now_ms.as_deref().map_or(0, number));
        let took = ask.duration_ns.as_deref().map_or(Duration::ZERO, span);
        let said = answer.classified(now, most);
        let said = slow.map_or(said, |limit| said.slow_from(limit, took));
        let outcome = match said.outcome {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Slow => "slow",
            other => panic!("{other:?}"),
        };
        let wait = said.retry_after.map(|wait| wait.as_nanos().to_string());
        assert_eq!((outcome, wait), (ask.outcome.as_str(), ask.retry_after_ns.clone()), "{case}: {answer:?}");
        assert_eq!(said.failed(), answer.failed());
    });
}

#[derive(Deserialize)]
struct Crowded {
    depth: String,
    done: String,
    window_ns: String,
    draw: f64,
    retry_after: u64,
}

#[test]
fn overload_waits() {
    play(
        "overload_waits",
        |_: &serde_json::Value| Ok(()),
        |(), ask: &Crowded, case| {
            let [depth, done, window] =
                [&ask.depth, &ask.done, &ask.window_ns].map(|text| text.parse().expect("a number"));
            let told = http::overload_retry_after(depth, done, Duration::from_nanos(window), ask.draw);
            assert_eq!(told, ask.retry_after, "{case}: {depth} in the way, {done} done in {window} ns");
        },
    );
}
