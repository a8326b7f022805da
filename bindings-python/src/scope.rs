//! Where an object's state lives: `scope=`, `name=` and `on_conflict=` of every constructor.

use crate::args::{count, object, text};
use crate::clock::{self, ManualClock};
use crate::errors::{self, config, from_core, wrong_type};
use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString, PyTuple};
use std::collections::HashSet;
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tidegate::arena::{ArenaError, ArenaErrorKind, HostConfig};
use tidegate::{Arena, Clock, ConfigError, OnConflict, Scope};

/// An arena of this machine with options, as a value for `scope=`; `"host:orders"` is the one without.
///
/// Args:
///     name: the arena's name.
///     path: the directory of its file, on memory that the processes share; default: TIDEGATE_DIR in the environment,
///     else
///         /dev/shm/tidegate-UID.
///     capacity: the most bytes that it can take (default TIDEGATE_CAPACITY, else 256 MiB); it never grows.
///     group: a group, by name or number, that may use the file as well: for containers that run as different users.
///
/// Opens nothing by itself. Immutable, so safe on any thread; pickles.
///
/// Raises:
///     ConfigError: a name that is none.
#[pyclass(frozen, eq, hash, module = "tidegate")]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct HostScope {
    /// The arena's name.
    #[pyo3(get)]
    name: String,
    /// The directory of its file, or None.
    #[pyo3(get)]
    path: Option<PathBuf>,
    /// Bytes, or None.
    #[pyo3(get)]
    capacity: Option<usize>,
    /// The group that may use it, or None.
    #[pyo3(get)]
    group: Option<String>,
}

#[pymethods]
impl HostScope {
    #[new]
    #[pyo3(signature = (name, path = None, capacity = None, group = None))]
    fn new(
        name: &Bound<'_, PyAny>,
        path: Option<&Bound<'_, PyAny>>,
        capacity: Option<&Bound<'_, PyAny>>,
        group: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let py = name.py();
        let name = text("name", Some(name))?.unwrap_or_default();
        let path_of = |path: &Bound<'_, PyAny>| {
            path.extract::<PathBuf>().map_err(|_| wrong_type("path", "a str or an os.PathLike", path))
        };
        let path = path.map(path_of).transpose()?;
        let capacity = capacity.map(bytes_of).transpose()?;
        let group = match group {
            Some(group) if group.is_instance_of::<PyString>() || group.is_instance_of::<PyInt>() => {
                Some(group.str()?.to_string())
            }
            Some(group) => return Err(wrong_type("group", "a group's name or number", group)),
            None => None,
        };
        let scope = Self { name, path, capacity, group };
        scope.options().check().map_err(|error| errors::arena(py, &error))?;
        Ok(scope)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let Self { name, path, capacity, group } = slf.get();
        let path = path.as_ref().map(|path| path.as_os_str());
        (slf.get_type(), (name, path, capacity, group)).into_pyobject(slf.py())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let Self { name, path, capacity, group } = slf.get();
        let mut text = format!("{}({name:?}", slf.get_type().name()?);
        if let Some(path) = path {
            text += &format!(", path={path:?}");
        }
        if let Some(bytes) = capacity {
            text += &format!(", capacity={bytes}");
        }
        if let Some(group) = group {
            text += &format!(", group={group:?}");
        }
        Ok(text + ")")
    }
}

impl HostScope {
    fn options(&self) -> HostConfig {
        let Self { name, path, capacity, group } = self;
        let mut options = HostConfig::new(name);
        (options.path, options.capacity, options.group) = (path.clone(), *capacity, group.clone());
        options
    }
}

/// A scope's capacity; the core knows its range.
fn bytes_of(capacity: &Bound<'_, PyAny>) -> PyResult<usize> {
    count("capacity", capacity, usize::MAX as u64).map(|bytes| bytes as usize)
}

/// An arena of this process with options, as a value for `scope=`; `"process:orders"` is the one without.
///
/// Args:
///     name: the arena's name.
///     capacity: the bytes of address space that it has (default TIDEGATE_CAPACITY, else 256 MiB); it never grows.
///
/// Makes nothing by itself. Immutable, so safe on any thread; pickles.
///
/// Raises:
///     ConfigError: a name that is none.
#[pyclass(frozen, eq, hash, module = "tidegate")]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ProcessScope {
    /// The arena's name.
    #[pyo3(get)]
    name: String,
    /// Bytes, or None.
    #[pyo3(get)]
    capacity: Option<usize>,
}

#[pymethods]
impl ProcessScope {
    #[new]
    #[pyo3(signature = (name, capacity = None))]
    fn new(name: &Bound<'_, PyAny>, capacity: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let py = name.py();
        let mut options = HostConfig::new(text("name", Some(name))?.unwrap_or_default());
        options.capacity = capacity.map(bytes_of).transpose()?;
        options.check().map_err(|error| errors::arena(py, &error))?;
        Ok(Self { name: options.name, capacity: options.capacity })
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let Self { name, capacity } = slf.get();
        (slf.get_type(), (name, capacity)).into_pyobject(slf.py())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let Self { name, capacity } = slf.get();
        let capacity = capacity.map(|bytes| format!(", capacity={bytes}")).unwrap_or_default();
        Ok(format!("{}({name:?}{capacity})", slf.get_type().name()?))
    }
}

/// The arena of a scope, opened; `None`: it has none.
pub(crate) fn open(py: Python<'_>, scope: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Arc<Arena>>> {
    let given = Given::of(scope)?;
    // Detached: making an arena waits for other processes that do.
    let arena = py.detach(|| given.open()).map_err(|error| errors::arena(py, &error))?;
    if let Some(arena) = &arena {
        say_notices(py, arena)?;
    }
    Ok(arena)
}

/// The arena of a scope, to look at; `None`: it has none, or none yet.
pub(crate) fn look(py: Python<'_>, scope: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Arc<Arena>>> {
    let given = Given::of(scope)?;
    py.detach(|| given.look()).map_err(|error| errors::arena(py, &error))
}

/// What a constructor was told of the place.
pub(crate) struct Asked<'py> {
    scope: Given,
    pub(crate) name: Option<String>,
    on_conflict: OnConflict,
    clock: Option<Bound<'py, ManualClock>>,
}

/// An argument that may be left out.
type Optional<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

impl<'py> Asked<'py> {
    pub(crate) fn of(
        py: Python<'py>,
        scope: Optional<'_, 'py>,
        name: Optional<'_, 'py>,
        on_conflict: Optional<'_, 'py>,
        clock: Optional<'_, 'py>,
    ) -> PyResult<Self> {
        let on_conflict = match text("on_conflict", on_conflict)? {
            Some(text) => text.parse().map_err(|error| from_core(py, &error))?,
            None => OnConflict::default(),
        };
        let clock = clock.map(|clock| object("clock", "a ManualClock", clock).cloned()).transpose()?;
        Ok(Self { scope: Given::of(scope)?, name: text("name", name)?, on_conflict, clock })
    }

    /// The clock that was given.
    pub(crate) fn clock(&self) -> Option<Py<ManualClock>> {
        self.clock.as_ref().map(|clock| clock.clone().unbind())
    }
}

/// Checks the place of objects that are still to be made; opens nothing.
#[pyfunction]
pub(crate) fn check_place(
    py: Python<'_>,
    scope: Optional<'_, '_>,
    name: Optional<'_, '_>,
    on_conflict: Optional<'_, '_>,
) -> PyResult<()> {
    let Asked { scope, name, .. } = Asked::of(py, scope, name, on_conflict, None)?;
    let scope = scope.of_named(name.is_some()).read();
    scope.and_then(|scope| scope.check(name.as_deref())).map_err(|error| errors::arena(py, &error))
}

/// Where an object lives, as it shows it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    scope: Scope,
    name: Option<String>,
}

impl Place {
    /// The object itself: `in_arena` makes it where a named scope was asked for, else `private` does.
    pub(crate) fn make<T: Send>(
        py: Python<'_>,
        asked: Asked<'_>,
        in_arena: impl FnOnce(&Arc<Arena>, &str, OnConflict) -> Result<T, ArenaError> + Send,
        private: impl FnOnce(Clock) -> Result<T, ConfigError>,
    ) -> PyResult<(T, Self)> {
        let fail = |error: ArenaError| errors::arena(py, &error);
        let Asked { scope: given, name, on_conflict, clock } = asked;
        let private = || private(clock::source(clock.as_ref())).map_err(|error| from_core(py, &error));
        let given = given.of_named(name.is_some());
        let place = Self { scope: given.read().map_err(fail)?, name };
        let name = place.name.as_deref();
        if place.scope == Scope::Process {
            return Ok((private()?, place));
        }
        if clock.is_some() {
            let message = format!(
                "clock: the scope {} has a clock of its own, which all its processes read; leave clock out, or say \
                 scope=\"process\" to test on a ManualClock",
                place.scope
            );
            return Err(config(py, message));
        }
        // Detached: making names waits for other processes that do.
        let opened = py.detach(|| given.place(name)).map_err(fail)?;
        let Some((arena, name)) = opened else { return Ok((private()?, place)) };
        say_notices(py, &arena)?;
        let made = py.detach(|| in_arena(&arena, name, on_conflict)).map_err(fail)?;
        Ok((made, place))
    }

    /// `"process"`, `"process:NAME"` or `"host:NAME"`.
    pub(crate) fn scope(&self) -> String {
        self.scope.to_string().trim_matches('"').to_owned()
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// For a `repr`: what differs from the default.
    pub(crate) fn shown(&self) -> String {
        let name = self.name.as_ref().map(|name| format!(", name={name:?}")).unwrap_or_default();
        match self.scope {
            Scope::Process => name,
            _ => format!(", scope={}{name}", self.scope),
        }
    }
}

/// `scope=` as it was given.
enum Given {
    Nothing,
    Text(String),
    Host(HostConfig),
    Shared { arena: String, capacity: Option<usize> },
}

impl Given {
    fn of(scope: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(scope) = scope else { return Ok(Self::Nothing) };
        if let Ok(text) = scope.cast::<PyString>() {
            return Ok(Self::Text(text.to_string_lossy().into_owned()));
        }
        if let Ok(host) = scope.cast::<HostScope>() {
            return Ok(Self::Host(host.get().options()));
        }
        match scope.cast::<ProcessScope>() {
            Ok(shared) => {
                let ProcessScope { name, capacity } = shared.get();
                Ok(Self::Shared { arena: name.clone(), capacity: *capacity })
            }
            Err(_) => {
                let allowed = "\"process\", \"process:NAME\", \"host:NAME\", a HostScope or a ProcessScope";
                Err(wrong_type("scope", allowed, scope))
            }
        }
    }

    /// TIDEGATE_SCOPE moves what has a name; what has none could not be found there by anybody else, and stays private.
    fn of_named(self, is_named: bool) -> Self {
        if matches!(self, Self::Nothing) && !is_named { Self::Text("process".to_owned()) } else { self }
    }

    fn read(&self) -> Result<Scope, ArenaError> {
        match self {
            Self::Nothing => Scope::from_env(),
            Self::Text(text) => Scope::parse(text),
            Self::Host(options) => Ok(Scope::Host(options.name.clone())),
            Self::Shared { arena, .. } => Ok(Scope::Shared(arena.clone())),
        }
    }

    fn open(&self) -> Result<Option<Arc<Arena>>, ArenaError> {
        match self {
            Self::Nothing => Scope::from_env()?.open(),
            Self::Text(text) => Scope::parse(text)?.open(),
            Self::Host(options) => Arena::open(options).map(Some),
            Self::Shared { arena, capacity: Some(capacity) } => {
                Arena::process_with_capacity(arena, *capacity).map(Some)
            }
            Self::Shared { arena, capacity: None } => Arena::process(arena).map(Some),
        }
    }

    fn look(&self) -> Result<Option<Arc<Arena>>, ArenaError> {
        let host = match (self, self.read()?) {
            (Self::Host(options), _) => options.clone(),
            (_, Scope::Host(name)) => HostConfig::new(name),
            _ => return self.open(),
        };
        match Arena::inspect(&host) {
            Err(error) if error.kind() == ArenaErrorKind::Removed => Ok(None),
            found => found.map(Some),
        }
    }

    fn place<'a>(&self, name: Option<&'a str>) -> Result<Option<(Arc<Arena>, &'a str)>, ArenaError> {
        match self {
            Self::Nothing => Scope::place(None, name),
            Self::Text(text) => Scope::place(Some(text), name),
            Self::Host(options) => Scope::place_in(options, name).map(Some),
            Self::Shared { arena, capacity } => Scope::place_in_process(arena, *capacity, name).map(Some),
        }
    }
}

/// What an arena has to say once, as a RuntimeWarning.
fn say_notices(py: Python<'_>, arena: &Arena) -> PyResult<()> {
    static SAID: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    for notice in arena.notices() {
        let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = said.get_or_insert_default().insert(notice.clone());
        drop(said);
        if fresh {
            PyErr::warn(py, py.get_type::<PyRuntimeWarning>().as_any(), &CString::new(notice)?, 1)?;
        }
    }
    Ok(())
}
