//! What the system's files say of CPU and memory: of the process's cgroup where that has limits, else of the machine.
//!
//! | file | idea |
//! |---|---|
//! | `cgroup.rs` | where the process's cgroup is, v1 or v2, up to the root |
//! | `text.rs` | the numbers in the kernel's texts |
//! | `usage.rs` | CPU time between two readings |
//!
//! A job reads one file, but for the first look at the cgroup, which is made when the shedder is. Limits are read again
//! one at a time, each some intervals; the cgroup itself with them, for a process can be moved.

mod cgroup;
mod text;
mod usage;

pub(super) use usage::{CpuBase, Usage};

use super::config::ShedderConfig;
use super::signal::SignalKind;
use crate::sys::ForkLock;
use cgroup::Cgroup;
use std::fs;
use std::path::{Path, PathBuf};

/// One file to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// CPU time used so far.
    Cpu,
    /// Memory pages that can be dropped: the next reading of the memory takes them off.
    Cache,
    Memory,
    PsiCpu,
    PsiMemory,
    /// The next limit, or where the cgroup is.
    Limits,
}

/// The jobs that these kinds of signals take.
pub(super) fn jobs(kinds: impl Iterator<Item = SignalKind> + Clone) -> Vec<Job> {
    let has = |kind| kinds.clone().any(|it| it == kind);
    let mut jobs = Vec::new();
    if has(SignalKind::Cpu) {
        jobs.push(Job::Cpu);
    }
    if has(SignalKind::Memory) {
        jobs.extend([Job::Cache, Job::Memory]);
    }
    if has(SignalKind::PsiCpu) {
        jobs.push(Job::PsiCpu);
    }
    if has(SignalKind::PsiMemory) {
        jobs.push(Job::PsiMemory);
    }
    if has(SignalKind::Cpu) || has(SignalKind::Memory) {
        jobs.push(Job::Limits);
    }
    jobs
}

/// Why there is no value: a sentence for people.
pub(super) type Off = String;

/// What a job found.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// CPU time so far; of how many CPUs.
    Cpu {
        usage: Usage,
        limit: f64,
    },
    /// A value of that signal.
    Value(SignalKind, f64),
    Nothing,
}

/// The files of one process.
#[derive(Debug)]
pub(super) struct Host {
    root: PathBuf,
    cpu_limit: Option<f64>,
    /// Where the process is; empty until the first look.
    place: ForkLock<Option<Place>>,
}

#[derive(Debug)]
struct Place {
    cgroup: Cgroup,
    /// The text of `/proc/self/cgroup` by which it was found.
    found_by: String,
    limits: Limits,
    /// Which limit is read next.
    next: usize,
    /// Bytes that can be dropped.
    cache: f64,
}

/// The least limits up to the root; infinite: none.
#[derive(Clone, Debug, PartialEq)]
struct Limits {
    /// Of each file in the order of [`Cgroup::limits`].
    each: Vec<f64>,
}

impl Host {
    pub(super) fn new(config: &ShedderConfig) -> Self {
        let it = Self { root: config.root.clone(), cpu_limit: config.cpu_limit, place: ForkLock::default() };
        if let Some(mut place) = it.place.try_lock() {
            *place = it.look();
        }
        it
    }

    fn read(&self, path: &str) -> Result<String, Off> {
        read(&self.root, path)
    }

    fn look(&self) -> Option<Place> {
        let found_by = self.read("proc/self/cgroup").unwrap_or_default();
        let cgroup = Cgroup::find(&found_by, &self.read("proc/self/mountinfo").unwrap_or_default());
        let each = cgroup.limits.iter().map(|limit| limit.read(|path| self.read(path))).collect();
        Some(Place { cgroup, found_by, limits: Limits { each }, next: 0, cache: f64::NAN })
    }

    /// What the files of one job say. `Ok(Nothing)`: it has no value of its own, or another thread is at it.
    pub(super) fn run(&self, job: Job) -> Result<Found, Off> {
        let Some(mut guard) = self.place.try_lock() else { return Ok(Found::Nothing) };
        if guard.is_none() {
            // In a child of a fork that came amid a reading.
            *guard = self.look();
        }
        let Some(place) = guard.as_mut() else { return Ok(Found::Nothing) };
        match job {
            Job::Cpu => self.cpu(place),
            Job::Cache => self.cache(place),
            Job::Memory => self.memory(place),
            Job::PsiCpu => self.psi(place, "cpu", "some").map(|value| Found::Value(SignalKind::PsiCpu, value)),
            Job::PsiMemory => self.psi(place, "memory", "full").map(|value| Found::Value(SignalKind::PsiMemory, value)),
            Job::Limits => {
                self.next_limit(place);
                Ok(Found::Nothing)
            }
        }
    }

    fn next_limit(&self, place: &mut Place) {
        match place.cgroup.limits.get(place.next) {
            Some(limit) => {
                place.limits.each[place.next] = limit.read(|path| self.read(path));
                place.next += 1;
            }
            None => {
                place.next = 0;
                let now = self.read("proc/self/cgroup").unwrap_or_default();
                if now != place.found_by
                    && let Some(new) = self.look()
                {
                    *place = new;
                }
            }
        }
    }

    /// CPUs, of the cgroup if that has a limit, else of the machine.
    fn cpu(&self, place: &Place) -> Result<Found, Off> {
        let limit = place.limits.least(&place.cgroup, cgroup::What::Cpu);
        let own = place.cgroup.usage.as_ref().filter(|_| limit.is_finite() || self.cpu_limit.is_some());
        if let Some(file) = own {
            let usage = file.read(|path| self.read(path))?;
            return Ok(Found::Cpu { usage, limit: self.cpu_limit.unwrap_or(limit) });
        }
        let (usage, cpus) = text::machine_cpu(&self.read("proc/stat")?).ok_or("/proc/stat tells no CPU time")?;
        let usage = Usage { us: usage, of: 0 };
        Ok(Found::Cpu { usage, limit: self.cpu_limit.unwrap_or(limit.min(cpus)) })
    }

    fn cache(&self, place: &mut Place) -> Result<Found, Off> {
        place.cache = match &place.cgroup.memory {
            Some(memory) if place.limits.least(&place.cgroup, cgroup::What::Memory).is_finite() => {
                let text = self.read(&memory.stat)?;
                text::field(&text, memory.inactive)
                    .ok_or_else(|| format!("{} has no {}", memory.stat, memory.inactive))?
            }
            _ => f64::NAN,
        };
        Ok(Found::Nothing)
    }

    fn memory(&self, place: &Place) -> Result<Found, Off> {
        let limit = place.limits.least(&place.cgroup, cgroup::What::Memory);
        let value = match &place.cgroup.memory {
            Some(memory) if limit.is_finite() => {
                let used = text::number(&self.read(&memory.current)?)
                    .ok_or_else(|| format!("{} holds no number", memory.current))?;
                if place.cache.is_nan() {
                    return Err(format!("{} could not be read", memory.stat));
                }
                (used - place.cache).max(0.0) / limit
            }
            _ => text::machine_memory(&self.read("proc/meminfo")?)
                .ok_or("/proc/meminfo tells no MemTotal and MemAvailable")?,
        };
        Ok(Found::Value(SignalKind::Memory, value))
    }

    fn psi(&self, place: &Place, what: &str, line: &str) -> Result<f64, Off> {
        let own = place.cgroup.unified.as_ref().map(|folder| format!("{folder}/{what}.pressure"));
        let (path, text) = match own.map(|path| self.read(&path).map(|text| (path, text))) {
            Some(Ok(found)) => found,
            _ => {
                let path = format!("proc/pressure/{what}");
                let text = self.read(&path)?;
                (path, text)
            }
        };
        text::pressure(&text, line).ok_or_else(|| format!("/{path} has no \"{line} avg10=\""))
    }

    /// The limits in force, for people.
    pub(super) fn explain(&self) -> Vec<String> {
        let Some(guard) = self.place.try_lock() else { return Vec::new() };
        let Some(place) = guard.as_ref() else { return Vec::new() };
        let cpu = match (self.cpu_limit, place.limits.least(&place.cgroup, cgroup::What::Cpu)) {
            (Some(limit), _) => format!("cpu limit: {limit}, given"),
            (None, limit) if limit.is_finite() => format!("cpu limit: {limit} CPUs of cgroup {}", place.cgroup.path),
            (None, _) => "cpu limit: none, the machine counts".to_owned(),
        };
        let memory = match place.limits.least(&place.cgroup, cgroup::What::Memory) {
            limit if limit.is_finite() => format!("memory limit: {limit} bytes of cgroup {}", place.cgroup.path),
            _ => "memory limit: none, the machine counts".to_owned(),
        };
        vec![cpu, memory]
    }
}

impl Limits {
    fn least(&self, cgroup: &Cgroup, what: cgroup::What) -> f64 {
        let of = cgroup.limits.iter().zip(&self.each).filter(|(limit, _)| limit.what == what);
        // What cannot be read is no number, and limits nothing.
        of.map(|(_, value)| *value).fold(f64::INFINITY, f64::min)
    }
}

/// The most of a file that is looked at: the kernel's are smaller, but for `/proc/stat` of many CPUs, whose first lines
/// say all.
const MOST: u64 = 1 << 20;

fn read(root: &Path, path: &str) -> Result<String, Off> {
    use std::io::Read;
    let full = root.join(path);
    let mut text = String::new();
    let done = fs::File::open(&full).and_then(|file| file.take(MOST).read_to_string(&mut text));
    match done {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("{} cannot be read: {error}", full.display())),
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
