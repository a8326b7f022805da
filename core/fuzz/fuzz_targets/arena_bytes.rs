//! An arena's file with any bytes in it, before it is opened and while it is used: errors and wrong answers, but no
//! panic, no hang and nothing outside the arena.
#![no_main]

use arbitrary::Arbitrary;
use everything::{CAPACITY, Everything};
use libfuzzer_sys::fuzz_target;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use tidegate::arena::HostConfig;
use tidegate::{Arena, OnConflict};

#[path = "../../tests/arena/everything.rs"]
mod everything;

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Word {
    Any(u64),
    Small(u8),
    /// What is there, plus this.
    Near(i8),
    Flipped(u8),
    /// What is there somewhere else.
    Of(u32),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Place {
    Header(u8),
    Slot(u16),
    Record(u16),
    Anywhere(u32),
}

#[derive(Arbitrary, Debug)]
enum Step {
    Write(Place, Word),
    Use(u64),
    OpenAgain { apply: bool },
}

#[derive(Arbitrary, Debug)]
struct Case {
    before: Vec<(Place, Word)>,
    /// The writer knows how the header's checksum is made.
    checksum: bool,
    steps: Vec<Step>,
}

const CHECKSUM_AT: u64 = 112;

struct Template {
    options: HostConfig,
    path: PathBuf,
    whole: Vec<u8>,
}

/// One arena with everything in it, a little used; each case starts from its bytes.
fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        // Of this process: several may run. The script removes what they leave.
        let parent = std::env::var_os("TIDEGATE_FUZZ_DIR").unwrap_or("/dev/shm".into());
        let directory = PathBuf::from(parent).join(format!("tidegate-fuzz-{}", std::process::id()));
        let mut options = HostConfig::new("hostile");
        options.path = Some(directory.clone());
        options.capacity = Some(CAPACITY);
        let arena = Arena::open(&options).expect("a new arena");
        let (all, errors) = Everything::open(&arena, OnConflict::Error);
        assert!(errors.is_empty() && all.len() == 18, "{errors:?}");
        let mut numbers = numbers(1);
        (0..20).for_each(|_| all.operate(&mut numbers));
        let path = arena.path().expect("a file").to_owned();
        let whole = std::fs::read(&path).expect("its bytes");
        Template { options, path, whole }
    })
}

/// Sebastiano Vigna's splitmix64.
fn numbers(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn read(file: &File, at: u64) -> u64 {
    let mut word = [0; 8];
    file.read_exact_at(&mut word, at).map_or(0, |()| u64::from_ne_bytes(word))
}

fn write(file: &File, place: Place, word: Word) {
    let words = (CAPACITY / 8) as u64;
    let at = 8 * match place {
        Place::Header(word) => u64::from(word),
        Place::Slot(word) => 512 + u64::from(word) % 2_112,
        Place::Record(word) => 3_072 + u64::from(word),
        Place::Anywhere(word) => u64::from(word) % words,
    };
    let word = match word {
        Word::Any(word) => word,
        Word::Small(word) => word.into(),
        Word::Near(by) => read(file, at).wrapping_add_signed(by.into()),
        Word::Flipped(bit) => read(file, at) ^ 1 << (bit % 64),
        Word::Of(other) => read(file, u64::from(other) % words * 8),
    };
    file.write_all_at(&word.to_ne_bytes(), at).expect("written");
}

fn sign(file: &File) {
    let mut header = [0; CHECKSUM_AT as usize];
    file.read_exact_at(&mut header, 0).expect("a header");
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let sum = header.iter().fold(0xcbf2_9ce4_8422_2325_u64, fold);
    file.write_all_at(&sum.to_ne_bytes(), CHECKSUM_AT).expect("written");
}

fuzz_target!(|case: Case| {
    let template = template();
    // A case may have had it replaced.
    let file = File::options().read(true).write(true).open(&template.path).expect("the file");
    file.write_all_at(&template.whole, 0).expect("written");
    case.before.iter().for_each(|&(place, word)| write(&file, place, word));
    if case.checksum {
        sign(&file);
    }
    let Ok(arena) = Arena::open(&template.options) else { return };
    let (mut all, _) = Everything::open(&arena, OnConflict::Keep);
    for step in case.steps.iter().take(24) {
        match *step {
            Step::Write(place, word) => write(&file, place, word),
            Step::Use(seed) => all.operate(&mut numbers(seed)),
            Step::OpenAgain { apply } => {
                let on_conflict = if apply { OnConflict::Apply } else { OnConflict::Error };
                all = Everything::open(&arena, on_conflict).0;
            }
        }
    }
});
