//! Policy files: `tests/policies/valid` says what is read of each, `broken` all that is wrong with each; every binding
//! is held to the same. `TIDEGATE_BLESS=1` writes what is expected: read the difference before you commit it.
#![cfg(feature = "policy")]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use tidegate::Clock;
use tidegate::config::{Field, Kind, Preset, TABLES};
use tidegate::gate::Request;
use tidegate::policy::{GatePolicy, MOST_BYTES, MOST_PROBLEMS, Policy, PolicyConfig, PolicyError};

fn folder(kind: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/policies").join(kind)
}

/// The files of a folder, by name.
fn files(kind: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder(kind)).expect("a folder").map(|entry| entry.expect("an entry").path());
    let tomls = entries.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let mut files: Vec<_> = tomls
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a file"))
        })
        .collect();
    files.sort();
    assert!(files.len() >= 200, "{kind}");
    files
}

/// `# env: A=b; C=d` in the first line.
fn environment(text: &str) -> BTreeMap<String, String> {
    let said = text.lines().next().and_then(|line| line.strip_prefix("# env: ")).unwrap_or_default();
    let pairs = said.split("; ").filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn parse(text: &str) -> Result<PolicyConfig, PolicyError> {
    let environment = environment(text);
    PolicyConfig::parse_with(text, &|name| environment.get(name).cloned())
}

fn said(error: &PolicyError) -> Value {
    serde_json::from_str(&error.to_json()).expect("JSON")
}

/// What is expected of a file, beside it.
#[track_caller]
fn expect(kind: &str, name: &str, told: &Value) {
    let path = folder(kind).join(format!("{name}.json"));
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        fs::write(&path, format!("{told:#}\n")).expect("written");
    }
    let expected: Value =
        fs::read_to_string(&path).map(|text| serde_json::from_str(&text).expect("JSON")).unwrap_or_default();
    assert_eq!(*told, expected, "{kind}/{name}");
}

#[test]
fn what_is_valid_is_read() {
    for (name, text) in files("valid") {
        let config = parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        expect("valid", &name, &serde_json::from_str(&config.to_json()).expect("JSON"));
    }
}

#[test]
fn what_is_shown_says_the_same() {
    for (name, text) in files("valid") {
        let config = parse(&text).expect("valid");
        let shown = config.to_toml();
        let again =
            PolicyConfig::parse_with(&shown, &|_| None).unwrap_or_else(|error| panic!("{name}: {error}\n{shown}"));
        assert_eq!((again.to_toml(), again.hash()), (shown, config.hash()), "{name}");
        assert_eq!(format!("{:?}", again.limits), format!("{:?}", config.limits), "{name}");
        assert_eq!((again.concurrency, again.queues), (config.concurrency, config.queues), "{name}");
        assert_eq!(format!("{:?}", again.shedders), format!("{:?}", config.shedders), "{name}");
        assert_eq!(again.breakers, config.breakers, "{name}");
        // An access list has no order to print.
        let plain = |gates: &BTreeMap<String, GatePolicy>| -> Vec<_> {
            gates.iter().map(|(name, it)| format!("{name} {:?}", GatePolicy { access: None, ..it.clone() })).collect()
        };
        assert_eq!(plain(&again.gates), plain(&config.gates), "{name}");
    }
}

#[test]
fn objects_are_made_of_what_is_valid() {
    for (name, text) in files("valid") {
        let mut config = parse(&text).expect("valid");
        config.scope = None;
        let policy = Policy::new(config, Clock::monotonic()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let of = policy.config();
        of.queues.keys().for_each(|queue| assert!(policy.queue::<u32>(queue).is_ok(), "{name}"));
        of.shedders.keys().for_each(|shedder| assert!(policy.shedder(shedder).is_ok(), "{name}"));
        of.breakers.keys().for_each(|breaker| assert!(policy.breaker(breaker).is_ok(), "{name}"));
        of.concurrency.keys().for_each(|limit| assert!(policy.concurrency(limit).is_ok(), "{name}"));
        of.limits.keys().for_each(|limit| assert!(policy.bucket(limit).is_ok() != policy.limiter(limit).is_ok()));
        for gate in of.gates.keys() {
            let gate = policy.gate(gate).unwrap_or_else(|error| panic!("{name}: {error}"));
            let members = gate.limits().into_iter().flat_map(|limits| limits.members());
            let keys = members.filter(|(_, it)| matches!(it, tidegate::limit::Member::Keyed(_))).count();
            assert!(gate.admit(&Request::new(&vec![&b"ann"[..]; keys])).is_ok(), "{name}");
        }
    }
}

#[test]
fn all_that_is_broken_is_told() {
    for (name, text) in files("broken") {
        let error = parse(&text).err().unwrap_or_else(|| panic!("{name} is no mistake"));
        expect("broken", &name, &said(&error));
        let count = error.problems().len();
        assert!((1..=MOST_PROBLEMS).contains(&count) && (error.more() == 0 || count == MOST_PROBLEMS), "{name}");
        for problem in error.problems() {
            let lines = text.lines().count().max(1) as u32 + 1;
            assert!((1..=lines).contains(&problem.line) && problem.column > 0, "{name}: {problem}");
            assert!(
                !problem.message.is_empty() && !problem.message.contains(['\u{fdd0}', '\n']),
                "{name}: {problem:?}"
            );
        }
    }
}

/// Where the settings of a table stand in a file, and what an object of it needs beside.
const HOMES: [(&str, &str, &str); 7] = [
    ("bucket", "limits", "rate = \"10/s\""),
    ("limiter", "limits", "rate = \"10/s\"\nkey = \"user\""),
    ("breaker", "breakers", ""),
    ("queue", "queues", "capacity = 100"),
    ("concurrency", "concurrency", "limit = 100"),
    ("adaptive", "concurrency", "adaptive = \"gradient\""),
    ("shedder", "shedders", "signals = { loop_lag = [\"20ms\", \"200ms\"] }"),
];

fn is_of_files(field: &Field) -> bool {
    !["period", "stripes", "algorithm", "queue", "fastest"].contains(&field.name) && !field.name.starts_with("block_")
}

/// A file with this setting, and where its value stands.
fn with(home: &(&str, &str, &str), field: &Field, value: &str) -> (String, (u32, u32)) {
    let (_, section, needs) = home;
    let others: Vec<_> = needs.lines().filter(|line| !line.starts_with(&format!("{} =", field.name))).collect();
    let head =
        format!("version = 1\n[{section}.it]\n{}{}", others.join("\n"), if others.is_empty() { "" } else { "\n" });
    let line = head.lines().count() as u32 + 1;
    (format!("{head}{} = {value}\n", field.name), (line, field.name.len() as u32 + 4))
}

/// Values outside the range, in the file's own words, and the range's ends.
fn values(field: &Field) -> (Vec<String>, Vec<String>) {
    let ns = |ns: u64| format!("\"{ns}ns\"");
    match field.kind {
        Kind::Count { min, max } => {
            let outside = min.checked_sub(1).into_iter().chain(max.checked_add(1)).map(|count| count.to_string());
            (outside.chain(["-1".to_owned()]).collect(), vec![min.to_string(), max.to_string()])
        }
        Kind::Span { min_ns, max_ns } => {
            let outside = min_ns.checked_sub(1).into_iter().chain(max_ns.checked_add(1)).map(ns);
            (outside.collect(), vec![ns(min_ns), ns(max_ns)])
        }
        Kind::Real { min, from_min, max } => {
            let below = if from_min { min - 0.001 } else { min };
            let above = (max < f64::MAX).then_some(max + 0.001);
            let outside =
                [below, f64::NAN].into_iter().chain(above).map(|real| format!("{real:?}").replace("NaN", "nan"));
            let inside = if from_min { min } else { min + 1e-6 };
            (outside.collect(), vec![format!("{inside:?}"), format!("{:?}", max.min(1e300))])
        }
        Kind::Choice(texts) => (
            vec!["\"none of them\"".to_owned(), "\"\"".to_owned()],
            texts.iter().map(|text| format!("{text:?}")).collect(),
        ),
        Kind::Flag => (Vec::new(), vec!["true".to_owned(), "false".to_owned()]),
        Kind::Rate => {
            (vec!["\"often\"".to_owned(), "\"0/s\"".to_owned()], vec!["\"1/year\"".to_owned(), "\"5/s\"".to_owned()])
        }
        _ => unreachable!("a kind of setting that this test does not know"),
    }
}

/// Of each setting what it may be and may not, by its description; written down for the other languages.
#[test]
fn every_setting_has_its_range() {
    let mut cases = Vec::new();
    for home in &HOMES {
        let table = TABLES.iter().find(|table| table.object == home.0).expect("a table");
        for field in table.fields.iter().filter(|field| is_of_files(field)) {
            let (outside, inside) = values(field);
            let path = format!("{}.it.{}", home.1, field.name);
            let wrong_type = match field.kind {
                Kind::Flag | Kind::Choice(_) | Kind::Rate => "5",
                _ => "[]",
            };
            for value in outside.iter().map(String::as_str).chain([wrong_type, "{}", "1979-05-27"]) {
                let (text, place) = with(home, field, value);
                let error = parse(&text).err().unwrap_or_else(|| panic!("{text} is no mistake"));
                let told: Vec<_> = error.problems().iter().map(|it| (it.path.as_str(), (it.line, it.column))).collect();
                assert_eq!(told, [(path.as_str(), place)], "{text}{error}");
                cases.push(json!({ "text": text, "problems": said(&error) }));
            }
            for value in inside {
                let (text, _) = with(home, field, &value);
                // Ends of ranges that others narrow are told as such, at the setting or the one that contradicts it.
                match parse(&text) {
                    Ok(config) => {
                        let read: Value = serde_json::from_str(&config.to_json()).expect("JSON");
                        let own = &read[home.1]["it"];
                        let name = if matches!(field.kind, Kind::Span { .. }) {
                            format!("{}_ns", field.name)
                        } else {
                            field.name.to_owned()
                        };
                        assert!(!own[&name].is_null(), "{text}: {read}");
                        cases.push(json!({ "text": text, "config": read }));
                    }
                    Err(error) => {
                        assert!(field.default != Preset::Required || home.1 == "concurrency", "{text}{error}");
                        assert_eq!(error.problems().len(), 1, "{text}{error}");
                        assert!(error.problems()[0].path.starts_with(&format!("{}.it.", home.1)), "{text}{error}");
                        cases.push(json!({ "text": text, "problems": said(&error) }));
                    }
                }
            }
        }
    }
    expect(".", "settings", &Value::Array(cases));
}

#[test]
fn what_is_no_policy_at_all() {
    let whole = |error: PolicyError| (error.problems()[0].line, error.to_string());
    let large = format!("version = 1\n#{}", "x".repeat(MOST_BYTES));
    let (line, told) = whole(PolicyConfig::parse(&large).unwrap_err());
    assert!(line == 0 && told.contains("at most 1048576"), "{told}");
    let (line, told) = whole(PolicyConfig::load("/no/such/file.toml").unwrap_err());
    assert!(line == 0 && told.starts_with("/no/such/file.toml: cannot be read: "), "{told}");
    let (line, _) = whole(PolicyConfig::load("/").unwrap_err());
    assert_eq!(line, 0);
    let (_, told) = whole(PolicyConfig::load("/dev/zero").unwrap_err());
    assert!(told.contains("too large"), "{told}");
    let error = PolicyConfig::parse_bytes(b"version = 1\n# \xc3\xa9\xff\n").unwrap_err();
    assert_eq!((error.problems()[0].line, error.problems()[0].column), (2, 4), "{error}");
    // As many as were given, not as many as their replacements have.
    let (_, told) = whole(PolicyConfig::parse_bytes(&[0xff; MOST_BYTES + 1]).unwrap_err());
    assert_eq!(told, "1048577 bytes are too many for a policy; at most 1048576");
    // As deep as can be, in each way.
    let deep = 100_000;
    let texts = [
        format!("a = {}", "[".repeat(deep)),
        format!("a = {}", "{a=".repeat(deep)),
        format!("[{}a]", "a.".repeat(deep)),
        format!("{}a = 1", "a.".repeat(deep)),
        format!("[limits.x]\n{}a = 1", "a.".repeat(50)),
    ];
    for text in texts {
        let error = PolicyConfig::parse(&text).expect_err("no policy");
        assert!(error.to_string().len() < 100_000, "{}", error.to_string().len());
    }
}

/// A small file may ask for more than there is memory for.
#[test]
fn what_the_environment_puts_in_has_an_end() {
    let value = "x".repeat(1_000);
    let parsed = |text: &str| PolicyConfig::parse_with(text, &|name| (name == "B").then(|| value.clone()));
    let key = |times| {
        let keys = "${B}".repeat(times);
        parsed(&format!("version = 1\n[limits]\na = {{ rate = \"1/s\", key = \"header:{keys}\" }}\n"))
    };
    let Ok(config) = key(65) else { panic!("65 KB are few enough") };
    assert!(config.to_toml().len() > 65_000);
    let error = key(66).unwrap_err();
    let problem = &error.problems()[0];
    assert_eq!((problem.line, problem.path.as_str()), (3, "limits.a.key"));
    assert_eq!(problem.message, "is too long once expanded; a text has at most 65536 bytes then");
    // Of many texts each is short enough.
    let entries = format!("\"key:{}\", ", "${B}".repeat(60)).repeat(100);
    let error = parsed(&format!("version = 1\n[gates.a]\naccess = {{ deny = [{entries}] }}\n")).unwrap_err();
    let told = "all texts are together too long once expanded; at most 1048576 bytes";
    assert_eq!(error.problems()[0].message, told);
    assert!(error.to_string().len() < 100_000, "{}", error.to_string().len());
}

/// Who shows or logs an error has room for it, whatever a file says.
#[test]
fn what_is_told_has_an_end() {
    let long = "k".repeat(100_000);
    let texts = [
        format!("[limits.{long}]\nrate = 1\nburts = 2\n"),
        format!("[limits]\na = {{ rate = \"1/s\" }}\n[breakers.{long}]\n[concurrency.{long}]\nlimit = 1\n"),
        format!("[limits.{long}]\nrate = \"1/s\"\n[gates.a]\nuse = {{ limits = [\"b\"] }}\n"),
        format!("[gates.a]\nuse = {{ limits = [\"{long}\", \"{long}\"], queue = \"{long}\" }}\n"),
        format!("[gates.a]\nrefund_on = [\"{long}\"]\naccess = {{ deny = [\"{long}\"] }}\n"),
        format!("[limits.a]\nrate = \"${{{long}}}\"\nkey = \"${{{long} }}\"\n"),
        format!("[concurrency.a]\nlimit = 9\npartitions = {{ {long} = 0.5, b = {long} }}\n"),
        format!("[concurrency.a]\nlimit = 9\npartitions = {{ {long} = 0.5 }}\n"),
        format!("[limits.a]\nrate = \"1/s\"\nkey = \"user\"\ntiers = {{ {long} = 1 }}\n"),
        format!("[shedders.a]\nsignals = {{ {long} = [0.5, 0.9], queue_fill = {{ queue = \"{long}\" }} }}\n"),
        format!("version = {}\n", "1".repeat(100_000)),
        format!("scope = \"{long}\"\n"),
        format!("scope = \"cluster:{long}\"\n"),
        format!("scope = \"host:{long}\"\n"),
        format!("{long} = 1\n"),
    ];
    for text in texts {
        let error = PolicyConfig::parse_with(&text, &|_| None).expect_err("no policy");
        for problem in error.problems() {
            let at = &text[..text.len().min(40)];
            assert!(problem.path.len() < 200 && problem.message.len() < 2_000, "{at}: {}", problem.message.len());
        }
    }
}

/// Names are looked up: a search through all for each would go on for long.
#[test]
fn as_many_objects_as_a_file_holds() {
    let limits: String = (0..5_000).map(|n| format!("l{n} = {{ rate = \"1/s\" }}\n")).collect();
    let gates: String = (0..1_000).map(|n| format!("g{n} = {{ use = {{ limits = [\"l{n}\"] }} }}\n")).collect();
    let text = format!("version = 1\n[limits]\n{limits}[gates]\n{gates}");
    let config = PolicyConfig::parse(&text).expect("valid");
    assert_eq!((config.limits.len(), config.gates.len()), (5_000, 1_000));
    // Each of them wrong, and near to thousands.
    let error = PolicyConfig::parse(&text.replace("[\"l", "[\"m")).unwrap_err();
    assert_eq!((error.problems().len(), error.more()), (MOST_PROBLEMS, 1_000 - MOST_PROBLEMS));
    assert!(error.to_string().len() < 100_000 && error.problems()[0].message.ends_with("and 4980 more"));
}

#[test]
fn a_file_is_named_in_each_line() {
    let file = std::env::temp_dir().join(format!("tidegate-policy-{}.toml", std::process::id()));
    fs::write(&file, "version = 1\n[breakers]\na = { cooldown = 30 }\nb = { prbes = 3 }\n").expect("written");
    let told = Policy::load(&file).unwrap_err().to_string();
    let name = file.display();
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 2, "{told}");
    assert!(lines[0].starts_with(&format!("{name}:3:18: breakers.a.cooldown: must be a span of time")), "{told}");
    assert!(lines[0].ends_with("got the number 30 (did you mean \"30s\"?)"), "{told}");
    assert!(lines[1].starts_with(&format!("{name}:4:7: breakers.b.prbes: there is no such key")), "{told}");
    fs::remove_file(&file).expect("removed");
}

#[test]
fn a_name_that_is_none_is_told_with_what_is_near() {
    let text = r#"
version = 1
breakers.payment = {}
queues.work.capacity = 5
limits.all.rate = "1/s"
gates.g.use.queue = "work"
shedders.s.signals.queue_fill = { queue = "work" }
"#;
    let policy = Policy::new(PolicyConfig::parse(text).expect("valid"), Clock::monotonic()).expect("made");
    let error = |error: tidegate::ConfigError| error.to_string();
    let told = error(policy.breaker("paymet").unwrap_err());
    assert_eq!(told, "name: \"paymet\" is none of [breakers]; there are payment (did you mean \"payment\"?)");
    assert_eq!(error(policy.concurrency("x").unwrap_err()), "name: \"x\" is none; the policy has no [concurrency]");
    assert!(error(policy.limiter("all").unwrap_err()).contains("ask for it with bucket"));
    assert!(error(policy.gate("g").unwrap_err()).contains("policy.queue::<Order>(\"work\")"));
    assert!(error(policy.shedder("s").unwrap_err()).contains("ask for it first"));
    let queue = policy.queue::<u8>("work").expect("made");
    assert!(std::sync::Arc::ptr_eq(&queue, &policy.queue::<u8>("work").expect("the same")));
    assert!(error(policy.queue::<u16>("work").unwrap_err()).contains("of another type"));
    assert!(std::sync::Arc::ptr_eq(&policy.gate("g").expect("made"), &policy.gate("g").expect("the same")));
    assert!(policy.shedder("s").is_ok() && policy.bucket("all").is_ok());
}

#[test]
fn tiers_have_names() {
    let text = r#"
version = 1
[limits]
c = { rate = "2/min", key = "user", tiers = { pro = "60/min" }, fastest = "60/min" }
"#;
    let policy = Policy::new(PolicyConfig::parse(text).expect("valid"), Clock::monotonic()).expect("made");
    let (limiter, pro) = (policy.limiter("c").expect("one"), policy.tier("c", "pro").expect("one"));
    assert!(limiter.try_acquire_tier(b"ann", 50, &pro) && !limiter.try_acquire(b"ben", 3));
    let told = policy.tier("c", "free").unwrap_err().to_string();
    assert_eq!(told, "name: \"free\" is none of [limits.c.tiers]; there are pro");
}

mod any_text {
    use super::*;
    use proptest::prelude::*;

    /// Pieces of policies, so that what is made of them gets far.
    fn piece() -> impl Strategy<Value = String> {
        let words = [
            "version = 1\n",
            "[limits]\n",
            "[limits.a]\n",
            "[breakers]\n",
            "[gates.g]\n",
            "[queues]\n",
            "[shedders.s]\n",
            "[concurrency]\n",
            "a = ",
            "rate = ",
            "\"1/s\"",
            "key = ",
            "\"user\"",
            "{ ",
            " }",
            ", ",
            "\n",
            "[",
            "]",
            "\"",
            "${",
            "}",
            "cooldown = ",
            "\"30s\"",
            "capacity = 5\n",
            "use = ",
            "limits = [\"a\"]",
            "signals = ",
            "cpu = [0.5, 0.9]",
            "tiers = ",
            "block = ",
            "partitions = ",
            "limit = 5",
            "adaptive = \"gradient\"",
            "scope = ",
            "\u{feff}",
            "\0",
            "é",
            "1e9",
            "nan",
            "-",
            "0x",
            "'''",
            "#",
            ".",
            "=",
            "1979-05-27",
            "true",
        ];
        prop_oneof![8 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => any::<String>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn is_a_policy_or_an_error(pieces in prop::collection::vec(piece(), 0..40)) {
            let text = pieces.concat();
            match PolicyConfig::parse_with(&text, &|_| None) {
                Ok(config) => {
                    let shown = config.to_toml();
                    let again = PolicyConfig::parse_with(&shown, &|_| None).expect("what is shown is valid");
                    prop_assert_eq!(again.to_toml(), shown);
                }
                Err(error) => prop_assert!(!error.problems().is_empty() && !error.to_string().is_empty()),
            }
        }

        #[test]
        fn changed_anywhere(
            which in any::<prop::sample::Index>(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<bool>(),
        ) {
            let files = files("valid");
            let mut bytes = files[which.index(files.len())].1.clone().into_bytes();
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            let _ = PolicyConfig::parse_bytes(&bytes);
        }
    }
}
