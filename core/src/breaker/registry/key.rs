//! A key as it stands in shared memory: its length, and all of it or, beyond 256 bytes, its first 240 and a second hash
//! of it. With the first hash these are 128 bits of two SipHashes under secrets of their own: nobody can choose two
//! such keys that are taken for one.

use crate::hash::HashOfKeys;
use crate::memory::ObjectAllocator;
use crate::sync::{AtomicU64, Ordering};

#[cfg(not(all(loom, test)))]
use crate::hash::random_secret as secret;

/// Models take a fixed one.
#[cfg(all(loom, test))]
fn secret() -> crate::hash::Secret {
    [1, 2]
}

/// Bytes of a key that are kept.
pub(super) const KEPT: usize = 256;
/// Bytes of a longer one: the rest is the second hash.
pub(super) const PREFIX: usize = KEPT - 16;
const WORDS: usize = KEPT / 8;

/// The hashes under the secret of one registry.
#[derive(Debug)]
pub(super) struct Hasher {
    first: HashOfKeys,
    /// Of long keys.
    second: [HashOfKeys; 2],
}

impl Hasher {
    /// For the object that is about to be laid out in this room: in an arena the same in all processes.
    pub(super) fn of(room: &ObjectAllocator) -> Self {
        #[cfg(not(loom))]
        if let Some(arena) = crate::Arena::of(room) {
            return Self::derived(arena.secret(), room.next() as u64);
        }
        let _ = room;
        Self::derived(secret(), 0)
    }

    /// Places of objects lie far below those that the second hashes take.
    fn derived(secret: crate::hash::Secret, place: u64) -> Self {
        let of = |number: u64| HashOfKeys::derived(secret, number << 62 | place);
        Self { first: of(0), second: [of(1), of(2)] }
    }

    #[inline]
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.first.hash(key)
    }

    pub(super) fn key(&self, key: &[u8]) -> Key {
        let kept = if key.len() <= KEPT {
            Kept::new(key)
        } else {
            let [a, b] = self.second.each_ref().map(|hash| hash.hash(key).to_le_bytes());
            Kept::new(&[&key[..PREFIX], &a, &b].concat())
        };
        Key { hash: self.hash(key), len: key.len() as u64, kept }
    }
}

/// A key as it is kept, what is compared first.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Key {
    kept: Kept,
    len: u64,
    pub(super) hash: u64,
}

/// At most 256 bytes. Those of most keys stand here, not elsewhere on the heap: who looks one up reads it in the
/// handle's first cache line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kept {
    /// Up to [`SHORT`] bytes, and zeros.
    Short(u8, [u8; SHORT]),
    /// More.
    Long(Box<[u8]>),
}

const SHORT: usize = 30;
/// With its length and the tag, four words.
const _: () = assert!(size_of::<Kept>() == 32 && std::mem::offset_of!(Key, kept) == 0);

impl Kept {
    fn new(bytes: &[u8]) -> Self {
        if bytes.len() > SHORT {
            return Self::Long(bytes.into());
        }
        let mut padded = [0; SHORT];
        padded[..bytes.len()].copy_from_slice(bytes);
        Self::Short(bytes.len() as u8, padded)
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(len, padded) => &padded[..usize::from(*len)],
            Self::Long(bytes) => bytes,
        }
    }
}

impl Key {
    pub(super) fn is_whole(&self) -> bool {
        self.len <= KEPT as u64
    }

    /// The key, or its beginning.
    pub(super) fn text(&self) -> &[u8] {
        if self.is_whole() { self.kept.bytes() } else { &self.kept.bytes()[..PREFIX] }
    }

    /// Whether it is `key`; `long` is that one as it is kept.
    #[inline]
    pub(super) fn is(&self, key: &[u8], long: impl FnOnce() -> Self) -> bool {
        match &self.kept {
            // Whole, whatever its length says.
            Kept::Short(..) => self.kept.bytes() == key,
            Kept::Long(kept) if key.len() <= KEPT => self.is_whole() && **kept == *key,
            Kept::Long(_) => *self == long(),
        }
    }

    /// As people read it.
    pub(super) fn name(&self) -> String {
        let text = String::from_utf8_lossy(self.text());
        if self.is_whole() {
            return text.into_owned();
        }
        let rest: String = self.kept.bytes()[PREFIX..].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{text}…{rest}")
    }
}

/// Where a key stands: `hash | length | bytes`.
pub(super) type KeyLine = [AtomicU64; 2 + WORDS];

/// By the holder of the lock, where nobody reads or finds out that this was written meanwhile.
pub(super) fn write(line: &KeyLine, key: &Key) {
    // Relaxed, all: published by the incarnation.
    line[0].store(key.hash, Ordering::Relaxed);
    line[1].store(key.len, Ordering::Relaxed);
    for (word, bytes) in line[2..].iter().zip(key.kept.bytes().chunks(8)) {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
    }
}

/// What stands there; any bytes are some key.
pub(super) fn read(line: &KeyLine) -> Key {
    // Relaxed, all: the caller looks whether it changed meanwhile.
    let (hash, len) = (line[0].load(Ordering::Relaxed), line[1].load(Ordering::Relaxed));
    let kept = len.min(KEPT as u64) as usize;
    let words = line[2..].iter().take(kept.div_ceil(8)).map(|word| word.load(Ordering::Relaxed));
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(kept);
    Key { hash, len, kept: Kept::new(&bytes) }
}

/// Whether `key` stands there. Allocates nothing.
pub(super) fn holds(line: &KeyLine, key: &Key) -> bool {
    // Relaxed, all: as in `read`.
    line[0].load(Ordering::Relaxed) == key.hash
        && line[1].load(Ordering::Relaxed) == key.len
        && line[2..].iter().zip(key.kept.bytes().chunks(8)).all(|(word, bytes)| {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.load(Ordering::Relaxed) == u64::from_le_bytes(whole)
        })
}
