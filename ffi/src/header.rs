//! Makes `include/tidegate.h` and holds the committed one to it: `TIDEGATE_BLESS=1 cargo test -p tidegate-ffi header`
//! rewrites it (`ffi/gen-header.sh`).

use crate::arena::tg_arena_config;
use crate::breaker::{tg_breaker_config, tg_breaker_snapshot, tg_event, tg_permit};
use crate::bucket::reserve::tg_ticket;
use crate::bucket::{tg_bucket_config, tg_bucket_snapshot};
use crate::bytes::tg_bytes;
use crate::concurrency::view::tg_concurrency_snapshot;
use crate::concurrency::{tg_concurrency_config, tg_concurrency_permit};
use crate::decision::tg_decision;
use crate::handle::In;
use crate::http::client::tg_client_address_config;
use crate::http::told::tg_told;
use crate::limiter::config::tg_limiter_config;
use crate::limiter::tier::tg_tier;
use crate::limiter::view::tg_limiter_snapshot;
use crate::queue::{tg_queue_config, tg_queue_snapshot};
use crate::quota::tg_quota;
use crate::set::tg_limit_member;
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

/// The INIT macro from the struct's own default, and what must hold of its layout.
fn in_c<T: InC>(out: &mut String) {
    let (name, size) = (T::NAME, size_of::<T>());
    let (upper, values) = (name.to_uppercase(), T::values().join(", "));
    let last = T::FIELDS.last().expect("a field");
    writeln!(out, "#define {upper}_INIT {{ sizeof({name}), {values} }}").unwrap();
    writeln!(out, "TG_ASSERT(offsetof({name}, struct_size) == 0, {name}_starts_with_its_size);").unwrap();
    writeln!(
        out,
        "TG_ASSERT(offsetof({name}, {last}) + sizeof((({name} *)0)->{last}) == sizeof({name}), {name}_has_no_padding_at_its_end);"
    )
    .unwrap();
    writeln!(out, "TG_ASSERT(sizeof(void *) != 8 || sizeof({name}) == {size}, {name}_has_its_size);\n").unwrap();
}

macro_rules! size_in_c {
    ($out:ident, $name:ident) => {
        let (name, size) = (stringify!($name), size_of::<$name>());
        writeln!($out, "TG_ASSERT(sizeof(void *) != 8 || sizeof({name}) == {size}, {name}_has_its_size);").unwrap();
    };
}

fn trailer() -> String {
    let mut out = String::from(
        "\n/* Initial values: the struct's size, and the defaults. The assertions hold a compiler to the library's layout. */\n\
         #if defined(__cplusplus)\n#define TG_ASSERT(what, name) static_assert(what, #name)\n\
         #elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L\n\
         #define TG_ASSERT(what, name) _Static_assert(what, #name)\n\
         #else\n#define TG_ASSERT(what, name) typedef char tg_assert_##name[(what) ? 1 : -1]\n#endif\n\n",
    );
    for write in [
        in_c::<tg_arena_config>,
        in_c::<tg_bucket_config>,
        in_c::<tg_quota>,
        in_c::<tg_decision>,
        in_c::<tg_bucket_snapshot>,
        in_c::<tg_limiter_config>,
        in_c::<tg_limiter_snapshot>,
        in_c::<tg_breaker_config>,
        in_c::<tg_breaker_snapshot>,
        in_c::<tg_event>,
        in_c::<tg_queue_config>,
        in_c::<tg_queue_snapshot>,
        in_c::<tg_concurrency_config>,
        in_c::<tg_concurrency_snapshot>,
        in_c::<tg_client_address_config>,
        in_c::<tg_told>,
    ] {
        write(&mut out);
    }
    size_in_c!(out, tg_ticket);
    size_in_c!(out, tg_tier);
    size_in_c!(out, tg_bytes);
    size_in_c!(out, tg_limit_member);
    size_in_c!(out, tg_permit);
    size_in_c!(out, tg_concurrency_permit);
    out.push_str("\n#undef TG_ASSERT\n\n#endif /* TIDEGATE_H */\n");
    out
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

fn generate() -> String {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = cbindgen::Config::from_file(crate_dir.join("cbindgen.toml")).unwrap();
    config.after_includes = Some(version());
    config.trailer = Some(trailer());
    let sources = cbindgen::Builder::new().with_config(config).with_src(crate_dir.join("src/lib.rs"));
    let mut text = Vec::new();
    sources.generate().unwrap().write(&mut text);
    without_pointer_typedefs(&String::from_utf8(text).unwrap())
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
