//! The first page: written once, checked by every opener, kept in private memory.

use super::clock::ClockParameters;
use super::error::ArenaErrorKind;
use super::layout::{HEADER_AT, Header, MAGIC, VERSION};
use super::text;
use crate::hash::{Secret, random_secret};
use crate::memory::Mapping;
use crate::sync::{AtomicU64, Ordering};
use std::mem::offset_of;
use std::time::SystemTime;

/// What the header says, in memory that nobody else writes.
#[derive(Clone)]
pub(super) struct HeaderData {
    pub(super) size: u64,
    pub(super) secret: Secret,
    pub(super) boot_id: [u64; 2],
    pub(super) created_ns: u64,
    pub(super) clock: ClockParameters,
}

/// The words of the header up to the checksum, which covers those before it.
const WORDS: usize = offset_of!(Header, checksum) / 8 + 1;

impl HeaderData {
    /// Of an arena that is being made now.
    pub(super) fn new(size: u64, boot_id: [u64; 2]) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            size,
            secret: random_secret(),
            boot_id,
            created_ns: since.as_nanos() as u64,
            clock: ClockParameters::choose(),
        }
    }

    /// Before the file has its name.
    pub(super) fn write(&self, mapping: &Mapping) {
        let mut words = [0; WORDS];
        let mut put = |offset: usize, values: &[u64]| words[offset / 8..][..values.len()].copy_from_slice(values);
        put(offset_of!(Header, magic), &[MAGIC]);
        put(offset_of!(Header, version), &[VERSION]);
        put(offset_of!(Header, size), &[self.size]);
        put(offset_of!(Header, secret), &self.secret);
        put(offset_of!(Header, boot_id), &self.boot_id);
        put(offset_of!(Header, created_ns), &[self.created_ns]);
        let ClockParameters { kind, ticks0, ns0, mult, os_ns0, time_namespace } = self.clock;
        put(offset_of!(Header, clock_kind), &[kind, ticks0, ns0, mult, os_ns0, time_namespace]);
        words[WORDS - 1] = checksum(&words);
        for (word, value) in shared_words(mapping).iter().zip(words) {
            // Relaxed: nobody else sees the file before it has its name, and the kernel orders that.
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Errors: what is wrong with it, in words that follow the file's name.
    #[cfg(target_os = "linux")]
    pub(super) fn read(file: &std::fs::File) -> Result<Self, (ArenaErrorKind, String)> {
        // First into private memory: what was checked is what is used, whoever writes to the file meanwhile. Read, not
        // mapped: a file from elsewhere may have holes, and a touched hole ends the process when the filesystem is
        // full.
        let mut bytes = [0; WORDS * 8];
        std::os::unix::fs::FileExt::read_exact_at(file, &mut bytes, HEADER_AT as u64)
            .map_err(|error| (ArenaErrorKind::System, format!("could not be read: {error}")))?;
        let mut words = [0; WORDS];
        for (value, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *value = u64::from_ne_bytes(std::array::from_fn(|at| bytes[at]));
        }
        let word = |offset: usize| words[offset / 8];
        let magic = word(offset_of!(Header, magic));
        if magic == MAGIC.swap_bytes() {
            return Err((ArenaErrorKind::Foreign, "was written by a machine of another byte order".to_owned()));
        }
        if magic != MAGIC {
            return Err((ArenaErrorKind::Foreign, "is no arena: it does not begin as one".to_owned()));
        }
        let version = word(offset_of!(Header, version));
        if version != VERSION {
            let why =
                format!("is of layout version {version}, and its name is one of version {VERSION}: was it renamed?");
            return Err((ArenaErrorKind::Version, why));
        }
        if words[WORDS - 1] != checksum(&words) {
            return Err((ArenaErrorKind::Foreign, "is damaged: its header does not match its checksum".to_owned()));
        }
        Ok(Self {
            size: word(offset_of!(Header, size)),
            secret: std::array::from_fn(|i| words[offset_of!(Header, secret) / 8 + i]),
            boot_id: std::array::from_fn(|i| words[offset_of!(Header, boot_id) / 8 + i]),
            created_ns: word(offset_of!(Header, created_ns)),
            clock: ClockParameters {
                kind: word(offset_of!(Header, clock_kind)),
                ticks0: word(offset_of!(Header, ticks0)),
                ns0: word(offset_of!(Header, ns0)),
                mult: word(offset_of!(Header, mult)),
                os_ns0: word(offset_of!(Header, os_ns0)),
                time_namespace: word(offset_of!(Header, time_namespace)),
            },
        })
    }
}

fn shared_words(mapping: &Mapping) -> &[AtomicU64] {
    mapping.slice(HEADER_AT, WORDS).unwrap_or_default()
}

fn checksum(words: &[u64; WORDS]) -> u64 {
    let bytes: Vec<u8> = words[..WORDS - 1].iter().flat_map(|word| word.to_ne_bytes()).collect();
    text::fingerprint(&bytes)
}
