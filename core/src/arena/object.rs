//! What an object needs to live in an arena.

use super::directory::{ObjectKind, OnConflict};
use super::layout::{BASIS, SETTINGS};
use super::{Arena, ArenaError};
use crate::ConfigError;
use crate::memory::ObjectAllocator;
use std::sync::Arc;

/// Settings as an object declares them: numbers that it reads back, and a text for people.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) words: [u64; SETTINGS],
    pub(crate) text: String,
}

impl Settings {
    /// `words`: at most `SETTINGS` of them.
    pub(crate) fn new(words: &[u64], text: String) -> Self {
        let mut all = [0; SETTINGS];
        all[..words.len()].copy_from_slice(words);
        Self { words: all, text }
    }
}

/// An object as it is asked for.
pub(crate) struct ObjectSpec<'a> {
    pub(crate) kind: ObjectKind,
    pub(crate) name: &'a str,
    /// Everything that decides the sizes and meaning of its parts. Another shape under the same name is an error.
    pub(crate) shape: String,
    pub(crate) settings: Settings,
    /// Kept for later openers if the object is new.
    pub(crate) basis: [u64; BASIS],
    pub(crate) on_conflict: OnConflict,
}

/// What an object is opened with.
pub(crate) struct OpenContext {
    pub(crate) arena: Arc<Arena>,
    pub(crate) name: String,
    pub(crate) room: ObjectAllocator,
    /// What decides its sizes. From shared memory: to be checked as any argument.
    pub(crate) shape: String,
    /// The settings that hold: mine, or those of who declared before. From shared memory: to be checked as any
    /// argument.
    pub(crate) settings: Settings,
    /// The basis of who made it. From shared memory as well.
    pub(crate) basis: [u64; BASIS],
    /// Time of the arena's clock at which it was made, at most now.
    pub(crate) born_ns: u64,
    /// The object stands already, and its settings are to become these.
    pub(crate) apply: bool,
}

/// An object that all who open its name in an arena share.
pub(crate) trait ArenaObject: Sized {
    /// What the directory says that it is.
    const KIND: ObjectKind;
    /// What a caller declares, checked already.
    type Config;

    /// Everything that decides the sizes and meaning of its parts, in words. Another shape under the same name is an
    /// error.
    fn shape(config: &Self::Config) -> String;

    /// What may be declared anew, as [`OnConflict`] says.
    fn settings(config: &Self::Config) -> Settings;

    /// Kept for later openers by who makes it.
    fn basis(config: &Self::Config) -> [u64; BASIS];

    /// The config to open with: what is shared from the record, the rest `own`. Without one (a look by its record) as
    /// far as the record has it, and in force. What comes from the record is to be checked as any argument.
    fn config(context: &OpenContext, own: Option<&Self::Config>) -> Result<Self::Config, ConfigError>;

    /// Lays out its parts in the context's room, always the same for one shape, and writes first values where that is
    /// fresh.
    fn open(context: &mut OpenContext, config: &Self::Config) -> Result<Self, ConfigError>;

    /// Changes it from `opened` to what `own` declares, for everybody. Under the arena's lock.
    fn apply(&self, context: &OpenContext, opened: &Self::Config, own: &Self::Config) -> Result<(), ConfigError>;
}

impl Arena {
    /// The object `name`, opened or made.
    pub(crate) fn object<T: ArenaObject>(
        self: &Arc<Self>,
        name: &str,
        own: &T::Config,
        on_conflict: OnConflict,
    ) -> Result<T, ArenaError> {
        let (shape, settings, basis) = (T::shape(own), T::settings(own), T::basis(own));
        let spec = ObjectSpec { kind: T::KIND, name, shape, settings, basis, on_conflict };
        self.open_or_make(&spec, |context| {
            let config = T::config(context, Some(own))?;
            let object = T::open(context, &config)?;
            if context.apply {
                object.apply(context, &config, own)?;
            }
            Ok(object)
        })
    }
}

impl OpenContext {
    /// The object behind a record, for who looks inside.
    pub(crate) fn look<T: ArenaObject>(&mut self) -> Result<T, ConfigError> {
        let config = T::config(self, None)?;
        T::open(self, &config)
    }
}

/// The arena's own record of a setting makes no sense.
pub(crate) fn damaged(field: &'static str) -> ConfigError {
    ConfigError::out_of_range(field, "the arena's own record of it is damaged")
}
