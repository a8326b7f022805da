//! A policy whose objects a binding makes itself: what it says, and a reload, of which the binding does the changing.

use super::objects::{on_conflict, problem, put};
use super::section::joined;
use super::{Change, PolicyConfig, PolicyError};
use crate::arena::{Arena, OnConflict, PolicyInForce, Scope};
use crate::sys::{Whole, WholeGuard};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// A policy as it was read, and as it is read again. Who makes the objects of one by [`Policy`](super::Policy) needs
/// none of this.
///
/// A reload has two steps: [`read_again`](Self::read_again) says what is to change, and refuses what needs a new
/// object; the caller changes its objects; [`accept`](Self::accept) puts what was read in force.
#[derive(Debug)]
pub struct PolicyFile {
    path: Option<PathBuf>,
    scope: Scope,
    arena: OnceLock<Arc<Arena>>,
    state: Whole<State>,
}

#[derive(Clone, Debug)]
struct State {
    config: Arc<PolicyConfig>,
    /// The same, and of names that left the file what it said last: a name is one object for ever, for many hold it.
    known: Arc<PolicyConfig>,
    /// What was read last, and whether of a text that is no file.
    read: Option<(Arc<PolicyConfig>, bool)>,
    generation: u64,
}

impl PolicyFile {
    /// Of a file.
    ///
    /// Errors: as [`PolicyConfig::load`]; `TIDEGATE_SCOPE` names no scope.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, PolicyError> {
        let path = path.as_ref();
        let file = Self::of(PolicyConfig::load(path)?).map_err(|error| error.in_file(path))?;
        Ok(Self { path: Some(path.to_owned()), ..file })
    }

    /// Of a text.
    ///
    /// Errors: as [`PolicyConfig::parse`]; `TIDEGATE_SCOPE` names no scope.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        Self::of(PolicyConfig::parse(text)?)
    }

    fn of(config: PolicyConfig) -> Result<Self, PolicyError> {
        let scope = config.scope_in_force()?;
        let config = Arc::new(config);
        let state = Whole::new(State { known: config.clone(), config, read: None, generation: 0 });
        Ok(Self { path: None, scope, arena: OnceLock::new(), state })
    }

    /// What is in force here.
    pub fn config(&self) -> Arc<PolicyConfig> {
        self.state().config.clone()
    }

    /// The scope of its objects, the environment's or the file's when it was read first.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// How many reloads were accepted.
    pub fn generation(&self) -> u64 {
        self.state().generation
    }

    /// Reads its file again, or another text. Nothing is in force of it yet. A name that left the file and comes back
    /// is that of the same object, with what the file says now: the caller keeps what it made under a name.
    ///
    /// Errors: all that is wrong with it; all changes that need a new object; it was made of no file, and there is no
    /// text.
    pub fn read_again(&self, text: Option<&str>) -> Result<(Arc<PolicyConfig>, Vec<Change>), PolicyError> {
        let named = |error: PolicyError| match &self.path {
            Some(path) if text.is_none() => error.in_file(path),
            _ => error,
        };
        let mut config = match (text, &self.path) {
            (Some(text), _) => PolicyConfig::parse(text)?,
            (None, Some(path)) => PolicyConfig::load(path)?,
            (None, None) => {
                let message = "the policy was made of no file: reload it with the text of another";
                return Err(PolicyError::whole(message));
            }
        };
        let state = &mut *self.state();
        let changes = state.config.changes_in_place(&state.known, &config).map_err(named)?;
        // A limit keeps the room that it was made with, where a file says nothing of it.
        for (name, own) in &mut config.concurrency {
            if let Some(before) = state.known.concurrency.get(name).filter(|_| own.adaptive.is_none()) {
                own.max_limit = before.max_limit;
            }
        }
        let config = Arc::new(config);
        state.read = Some((config.clone(), text.is_some()));
        Ok((config, changes))
    }

    /// Puts what was read last in force, after its changes were made: in an arena for all processes. Returns how many
    /// reloads were accepted.
    ///
    /// Errors: those of the arena; nothing is accepted then.
    pub fn accept(&self) -> Result<u64, PolicyError> {
        let read = self.state().read.clone();
        let Some((config, _)) = read else { return Ok(self.generation()) };
        if let Some(arena) = self.arena.get() {
            put(arena, &config)?;
        }
        let state = &mut *self.state();
        state.known = Arc::new(config.with_gone(&state.known));
        (state.config, state.read) = (config, None);
        state.generation += 1;
        Ok(state.generation)
    }

    /// An error of one of the objects that were to change, at its place in what was read last.
    pub fn problem(&self, section: &str, name: &str, message: &str) -> PolicyError {
        let state = self.state();
        let (config, is_text) = state.read.as_ref().map_or((&state.config, false), |(config, text)| (config, *text));
        let error = problem(config, &joined(section, name), message);
        match self.path.as_ref().filter(|_| !is_text) {
            Some(file) => error.in_file(file),
            None => error,
        }
    }

    /// What an object that is made now does about one of other settings. The first time it puts the policy in force in
    /// its arena; later, where another process has put another in force since, what that says stays.
    ///
    /// Errors: the arena cannot be opened.
    pub fn on_conflict(&self) -> Result<OnConflict, PolicyError> {
        let config = self.config();
        if let Some(arena) = self.arena.get() {
            return Ok(on_conflict(arena, &config));
        }
        let opened = self.scope.open().map_err(|error| problem(&config, "scope", error.message()))?;
        let Some(arena) = opened else { return Ok(OnConflict::Apply) };
        put(&arena, &config)?;
        // Two threads that ask first have opened the same.
        _ = self.arena.set(arena);
        Ok(OnConflict::Apply)
    }

    /// What is in force in the arena of its objects; `None` in the scope of the process, and before the first of them
    /// is made.
    pub fn in_force(&self) -> Option<PolicyInForce> {
        self.arena.get()?.policy()
    }

    /// What was made before a panic is whole.
    fn state(&self) -> WholeGuard<'_, State> {
        self.state.lock()
    }
}
