//! Makes `include/tidegate.h` and holds the committed one to it: `TIDEGATE_BLESS=1 cargo test -p tidegate-ffi header`
//! rewrites it (`ffi/gen-header.sh`).

use crate::arena::tg_arena_config;
use crate::breaker::registry::{tg_registry_config, tg_registry_snapshot};
use crate::breaker::{tg_breaker_config, tg_breaker_snapshot, tg_classified, tg_event, tg_permit};
use crate::bucket::reserve::tg_ticket;
use crate::bucket::{tg_bucket_config, tg_bucket_snapshot};
use crate::bytes::tg_bytes;
use crate::cluster::{tg_cluster_limit_config, tg_cluster_limit_snapshot};
use crate::concurrency::adaptive::tg_adaptive_config;
use crate::concurrency::partition::tg_partition_snapshot;
use crate::concurrency::view::tg_concurrency_snapshot;
use crate::concurrency::{tg_concurrency_config, tg_concurrency_permit, tg_partition};
use crate::decision::tg_decision;
use crate::gate::{tg_admission, tg_gate_config, tg_gate_dependency, tg_gate_request, tg_gate_snapshot};
use crate::handle::In;
use crate::http::answer::{tg_http_answer, tg_http_classifier};
use crate::http::client::tg_client_address_config;
use crate::http::ratelimit_status::tg_ratelimit_status;
use crate::limiter::config::tg_limiter_config;
use crate::limiter::tier::tg_tier;
use crate::limiter::view::tg_limiter_snapshot;
use crate::queue::transfer::{tg_queue_push_options, tg_queue_taken};
use crate::queue::{tg_queue_config, tg_queue_snapshot};
use crate::quota::tg_quota;
use crate::retry::budget::{tg_retry_budget_config, tg_retry_budget_snapshot};
use crate::retry::tg_retry_config;
use crate::set::tg_limit_member;
use crate::shedder::{tg_shed_decision, tg_shedder_config, tg_shedder_snapshot, tg_signal};
use crate::throttle::{tg_throttle_config, tg_throttle_snapshot};
use std::fmt::Write;
use std::mem::size_of;
use std::path::Path;

/// A value as C writes it.
pub(crate) trait Literal {
    fn literal(&self) -> String;
}

macro_rules! plain {
    ($($type:ty),*) => { $(impl Literal for $type {
        fn literal(&self) -> String {
            format!("{self:?}")
        }
    })* };
}

plain!(bool, i32, u32, usize, f64);

impl Literal for u64 {
    fn literal(&self) -> String {
        match *self {
            u64::MAX => "UINT64_MAX".to_owned(),
            value => format!("UINT64_C({value})"),
        }
    }
}

impl Literal for *mut std::ffi::c_void {
    fn literal(&self) -> String {
        assert!(self.is_null(), "an INIT macro can only hold NULL");
        "NULL".to_owned()
    }
}

impl<const N: usize> Literal for [u64; N] {
    fn literal(&self) -> String {
        assert!(self.iter().all(|word| *word == 0), "an INIT macro can only hold zeros");
        "{ 0 }".to_owned()
    }
}

impl<T> Literal for In<T> {
    fn literal(&self) -> String {
        assert!(self.is_null(), "an INIT macro can only hold NULL");
        "NULL".to_owned()
    }
}

/// A struct that starts with its size, as `versioned!` lists it.
pub(crate) trait InC {
    const NAME: &'static str;
    /// Its fields after the size, in order.
    const FIELDS: &'static [&'static str];
    /// Their initial values.
    fn values() -> Vec<String>;
}

/// A struct of the header: its name, its INIT macro from its own default, and what must hold of its layout.
struct Versioned {
    name: &'static str,
    init: String,
    layout: String,
}

fn in_c<T: InC>() -> Versioned {
    let (name, size) = (T::NAME, size_of::<T>());
    let last = T::FIELDS.last().expect("a field");
    let mut init = format!("#define {}_INIT \\\n    {{ sizeof({name})", name.to_uppercase());
    let mut width = 100; // The first value begins a line.
    for value in T::values() {
        let fits = width + value.len() < 100;
        init += &if fits { format!(", {value}") } else { format!(", \\\n      {value}") };
        width = if fits { width + value.len() + 2 } else { value.len() };
    }
    init += " }";
    let layout = format!(
        "TG_ASSERT(offsetof({name}, struct_size) == 0, {name}_starts_with_its_size);\n\
         TG_ASSERT(offsetof({name}, {last}) + sizeof((({name} *)0)->{last})\n        == sizeof({name}),\n    \
         {name}_has_no_padding_at_its_end);\n\
         TG_ASSERT(sizeof(void *) != 8 || sizeof({name}) == {size}, {name}_has_its_size);\n"
    );
    Versioned { name, init, layout }
}

fn versioned() -> [Versioned; 39] {
    [
        in_c::<tg_arena_config>(),
        in_c::<tg_bucket_config>(),
        in_c::<tg_quota>(),
        in_c::<tg_decision>(),
        in_c::<tg_bucket_snapshot>(),
        in_c::<tg_limiter_config>(),
        in_c::<tg_limiter_snapshot>(),
        in_c::<tg_breaker_config>(),
        in_c::<tg_breaker_snapshot>(),
        in_c::<tg_event>(),
        in_c::<tg_classified>(),
        in_c::<tg_http_classifier>(),
        in_c::<tg_http_answer>(),
        in_c::<tg_queue_config>(),
        in_c::<tg_queue_snapshot>(),
        in_c::<tg_queue_push_options>(),
        in_c::<tg_queue_taken>(),
        in_c::<tg_concurrency_config>(),
        in_c::<tg_adaptive_config>(),
        in_c::<tg_concurrency_snapshot>(),
        in_c::<tg_partition_snapshot>(),
        in_c::<tg_retry_config>(),
        in_c::<tg_registry_config>(),
        in_c::<tg_registry_snapshot>(),
        in_c::<tg_retry_budget_config>(),
        in_c::<tg_retry_budget_snapshot>(),
        in_c::<tg_throttle_config>(),
        in_c::<tg_throttle_snapshot>(),
        in_c::<tg_cluster_limit_config>(),
        in_c::<tg_cluster_limit_snapshot>(),
        in_c::<tg_shedder_config>(),
        in_c::<tg_shed_decision>(),
        in_c::<tg_shedder_snapshot>(),
        in_c::<tg_gate_config>(),
        in_c::<tg_gate_request>(),
        in_c::<tg_admission>(),
        in_c::<tg_gate_snapshot>(),
        in_c::<tg_client_address_config>(),
        in_c::<tg_ratelimit_status>(),
    ]
}

macro_rules! size_in_c {
    ($out:ident, $name:ident) => {
        let (name, size) = (stringify!($name), size_of::<$name>());
        writeln!($out, "TG_ASSERT(sizeof(void *) != 8 || sizeof({name}) == {size}, {name}_has_its_size);").unwrap();
    };
}

/// What holds a compiler to the library's layout.
fn layout() -> String {
    let mut out = String::from(
        "#if defined(__cplusplus)\n#define TG_ASSERT(what, name) static_assert(what, #name)\n\
         #elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L\n\
         #define TG_ASSERT(what, name) _Static_assert(what, #name)\n\
         #else\n#define TG_ASSERT(what, name) typedef char tg_assert_##name[(what) ? 1 : -1]\n#endif\n\n",
    );
    versioned().iter().for_each(|a_struct| out += &a_struct.layout);
    size_in_c!(out, tg_ticket);
    size_in_c!(out, tg_tier);
    size_in_c!(out, tg_bytes);
    size_in_c!(out, tg_limit_member);
    size_in_c!(out, tg_partition);
    size_in_c!(out, tg_signal);
    size_in_c!(out, tg_gate_dependency);
    size_in_c!(out, tg_permit);
    size_in_c!(out, tg_concurrency_permit);
    out + "\n#undef TG_ASSERT\n"
}

fn version() -> String {
    let number = |text: &str| text.parse::<u32>().unwrap();
    let (major, minor) = (number(env!("CARGO_PKG_VERSION_MAJOR")), number(env!("CARGO_PKG_VERSION_MINOR")));
    let patch = number(env!("CARGO_PKG_VERSION_PATCH"));
    format!(
        "\n/** The version of this header; tg_version() is that of the library. */\n\
         #define TG_VERSION \"{}\"\n#define TG_VERSION_MAJOR {major}\n#define TG_VERSION_MINOR {minor}\n\
         #define TG_VERSION_PATCH {patch}",
        env!("CARGO_PKG_VERSION")
    )
}

/// cbindgen names every `In<T>` and `Out<T>` by a typedef; a C reader wants to see the pointer.
fn without_pointer_typedefs(header: &str) -> String {
    let (mut pointers, mut kept) = (Vec::new(), Vec::new());
    for block in header.split("\n\n") {
        let definition = block.rsplit_once("*/\n").map_or(block, |(_, definition)| definition);
        let alias = definition.strip_prefix("typedef ").and_then(|line| line.strip_suffix(';')?.rsplit_once('*'));
        match alias {
            Some((target, name)) if name.starts_with("In_") || name.starts_with("Out_") => {
                pointers.push((format!("{name} "), format!("{target}*")));
            }
            _ => kept.push(block),
        }
    }
    // Longest first: a name may begin like another.
    pointers.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    let kept = kept.join("\n\n");
    let text = pointers.iter().fold(kept, |text, (name, pointer)| text.replace(name, pointer));
    let text = text.replace("const const char *", "const char *const ");
    assert!(!text.contains("In_") && !text.contains("Out_"), "a pointer typedef is left");
    text
}

/// The sections: title, a word about it, and how the names begin that stand in it; the longest beginning decides.
const SECTIONS: [(&str, &str, &[&str]); 17] = [
    (
        "Answers",
        "What every call gives back, what its errors say, and which library it is.",
        &["tg_status", "tg_last_error", "tg_version", "TG_NEVER"],
    ),
    (
        "Clocks",
        "An object without a clock of its own reads the machine's. A manual one moves only when told to: for tests.",
        &["tg_clock"],
    ),
    (
        "Arenas",
        "Memory that objects live in under names, so that the threads of a process, or all processes of the machine,\n \
         * share them.",
        &["tg_arena", "tg_on_conflict"],
    ),
    (
        "Rates, keys and decisions",
        "What buckets and limiters take and give.",
        &["tg_quota", "tg_decision", "tg_mode", "tg_bytes", "TG_BURST_OF_RATE", "TG_QUEUE_OF_RATE"],
    ),
    ("Token buckets", "One limit for everybody.", &["tg_bucket", "tg_ticket"]),
    (
        "Limits per key",
        "One limit for each user, address or API key, in a table of fixed size.",
        &["tg_limiter", "tg_algorithm", "tg_tier"],
    ),
    ("Several limits at once", "All or nothing: what one of them denies is taken from none.", &["tg_limit_"]),
    (
        "Limits of many machines",
        "One rate for all of them, spent from what an agent of each has leased from a store.",
        &["tg_cluster_limit", "tg_on_unreachable"],
    ),
    (
        "Circuit breakers",
        "A dependency that fails or crawls: acquire a permit, call, report how it ended.",
        &["tg_breaker", "tg_registry", "tg_outcome", "tg_state", "tg_event", "tg_permit", "tg_classified"],
    ),
    (
        "Concurrency limits",
        "At most so many calls at once: acquire a permit, call, release it.",
        &["tg_concurrency", "tg_partition", "tg_adaptive"],
    ),
    (
        "Retries",
        "The wait between attempts, how many retries are affordable, and rejecting by chance what the backend refuses.",
        &["tg_backoff", "tg_jitter", "tg_retry", "tg_throttle"],
    ),
    ("Load shedding", "Too much to do: the less important is refused first.", &["tg_shed", "tg_priority", "tg_signal"]),
    (
        "Queues",
        "Work that is accepted and not yet done: bounded, with watermarks.",
        &["tg_queue", "tg_on_full", "tg_discipline", "tg_drop_reason"],
    ),
    (
        "HTTP",
        "Who a client is behind proxies, who is never limited or always refused, and what a client is told.",
        &[
            "tg_client_address",
            "tg_access_list",
            "tg_verdict",
            "tg_problem",
            "tg_ratelimit_status",
            "tg_http",
            "tg_classify",
        ],
    ),
    (
        "Gates",
        "All of the above as one decision: what one part refuses takes nothing of the others.",
        &["tg_gate", "tg_admission"],
    ),
    ("Metrics", "What objects count, as Prometheus reads it.", &["tg_metrics"]),
    ("Policies", "All of the above in one TOML file, for all languages.", &["tg_policy"]),
];

/// The name of what a block of the header declares: of a constant, an enum, a type or a function.
fn name_of(block: &str) -> Option<&str> {
    let code = if block.starts_with("/**") { block.split_once("*/\n")?.1 } else { block };
    let is_end = |c: char| !c.is_alphanumeric() && c != '_';
    let first = |rest: &'static str| code.strip_prefix(rest).and_then(|rest| rest.split(is_end).next());
    let last = |text| str::rsplit(text, is_end).next();
    first("#define ").or_else(|| first("enum ")).or_else(|| match code.strip_prefix("typedef ") {
        Some(_) => last(code.strip_suffix(';')?),
        None => last(code.split_once('(')?.0),
    })
}

fn section_of(name: &str) -> usize {
    let longest = |section: &(&str, &str, &[&str])| {
        section.2.iter().filter(|begin| name.starts_with(**begin)).map(|begin| begin.len()).max()
    };
    let lengths = SECTIONS.iter().map(longest).enumerate();
    let found = lengths.max_by_key(|(place, length)| (*length, std::cmp::Reverse(*place)));
    match found {
        Some((place, Some(_))) => place,
        _ => panic!("{name} stands in no section: enter it in SECTIONS of ffi/src/header.rs"),
    }
}

/// The header as cbindgen gives it, in sections to be read from above.
fn in_sections(header: &str) -> String {
    let heading = |title: &str, about: &str| {
        let rule = "=".repeat(114);
        format!("/* {rule}\n * {title}\n *\n * {about}\n * {rule} */\n\n")
    };
    let titles = SECTIONS.iter().map(|(title, ..)| *title).chain(["Layout"]);
    let titles: Vec<_> = titles.enumerate().map(|(place, title)| format!("{}. {title}", place + 1)).collect();
    let (preamble, items) = header.split_once("\n\n/**\n * Nanoseconds that mean").expect("TG_NEVER comes first");
    let items = format!("/**\n * Nanoseconds that mean{items}");
    let structs = versioned();
    let mut sections: Vec<String> =
        titles.iter().zip(SECTIONS).map(|(title, (_, about, _))| heading(title, about)).collect();
    for block in items.split("\n\n").map(|block| block.trim_matches('\n')) {
        if block.starts_with("#ifdef __cplusplus") || block.is_empty() {
            continue;
        }
        let name = name_of(block).unwrap_or_else(|| panic!("no name in {block:?}"));
        let section = &mut sections[section_of(name)];
        *section += &format!("{block}\n\n");
        if let Some(of) = structs.iter().find(|of| of.name == name) {
            *section += &format!("/** Initial values of tg_: its size, and the defaults. */\n{}\n\n", of.init)
                .replace("tg_:", &format!("{name}:"));
        }
    }
    let contents = titles.iter().fold(" * Contents:\n".to_owned(), |text, title| text + &format!(" *   {title}\n"));
    let preamble = preamble.replace(" * CONTENTS\n", &contents);
    let layout =
        heading(titles.last().expect("a title"), "Compiles where the compiler lays structs out as the library does.");
    format!(
        "{preamble}\n\n#ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n{}#ifdef __cplusplus\n}}\n#endif\n\n{layout}{}\n\
         #endif /* TIDEGATE_H */\n",
        sections.concat(),
        self::layout()
    )
}

/// Comments of one line stand on one.
fn short_comments(header: &str) -> String {
    let lines: Vec<&str> = header.lines().collect();
    let (mut out, mut at) = (String::new(), 0);
    while at < lines.len() {
        let indent = &lines[at][..lines[at].len() - lines[at].trim_start().len()];
        let one = match lines[at..] {
            [open, text, close, ..] if open.trim_start() == "/**" && close.trim_start() == "*/" => {
                text.trim_start().strip_prefix("* ").filter(|text| indent.len() + text.len() + 7 <= 120)
            }
            _ => None,
        };
        match one {
            Some(text) => out += &format!("{indent}/** {text} */\n"),
            None => out += &format!("{}\n", lines[at]),
        }
        at += if one.is_some() { 3 } else { 1 };
    }
    out
}

fn generate() -> String {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = cbindgen::Config::from_file(crate_dir.join("cbindgen.toml")).unwrap();
    config.after_includes = Some(version());
    let sources = cbindgen::Builder::new().with_config(config).with_src(crate_dir.join("src/lib.rs"));
    let mut text = Vec::new();
    sources.generate().unwrap().write(&mut text);
    short_comments(&in_sections(&without_pointer_typedefs(&String::from_utf8(text).unwrap())))
}

#[test]
fn functions_do_not_repeat_the_rules() {
    let header = generate();
    let said = ["Thread safety: any thread", "Ownership: borrows", "Errors: TG_NULL.", "Errors: none"];
    let is_said = |line: &&str| said.iter().any(|said| line.contains(said)) || line.ends_with("Since: 0.1");
    let repeated: Vec<_> = header.lines().filter(is_said).collect();
    assert!(repeated.is_empty(), "the rules at the top say that once for all: {repeated:#?}");
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include/tidegate.h");
    let generated = generate();
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = committed.lines().zip(generated.lines()).enumerate().find(|(_, (old, new))| old != new);
    assert!(
        committed == generated,
        "include/tidegate.h is out of date (line, committed, generated: {differs:?}); run ffi/gen-header.sh"
    );
}
