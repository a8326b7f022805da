//! Where the process's cgroup is, in the hierarchies of v2 and v1, and what limits it up to the root.

use super::text;
use super::{Off, Usage};

/// What a limit is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Cpu,
    Memory,
}

/// How a file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// One number, `max` for none.
    Number,
    /// Quota and period.
    Quota,
    /// Microseconds of a period of the file beside it; below 0 for none.
    QuotaOfPeriod,
    /// A list of CPUs.
    Cpus,
}

/// A file with a limit.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    pub(super) what: What,
    path: String,
    form: Form,
}

impl Limit {
    /// The limit; infinite where there is none, or it cannot be read.
    pub(super) fn read(&self, read: impl Fn(&str) -> Result<String, Off>) -> f64 {
        let Ok(text) = read(&self.path) else { return f64::INFINITY };
        let value = match self.form {
            Form::Number => text::number(&text),
            Form::Quota => text::quota(&text),
            Form::Cpus => text::cpus(&text),
            Form::QuotaOfPeriod => {
                let period = self.path.replace("cfs_quota_us", "cfs_period_us");
                let period = read(&period).ok().and_then(|text| text::number(&text)).unwrap_or(100_000.0);
                text::number(&text).and_then(|quota| text::ratio(quota, period))
            }
        };
        // Of nothing there is no part.
        value.filter(|value| *value > 0.0 && !is_unlimited(self.what, *value)).unwrap_or(f64::INFINITY)
    }
}

/// v1 says "no limit" by the highest number of pages.
fn is_unlimited(what: What, value: f64) -> bool {
    what == What::Memory && value >= 9.0e18
}

/// Where CPU time is told.
#[derive(Clone, Debug)]
pub(super) struct UsageFile {
    path: String,
    is_ns: bool,
    /// Of which cgroup it is: others' numbers do not go with it.
    of: u64,
}

impl UsageFile {
    pub(super) fn read(&self, read: impl Fn(&str) -> Result<String, Off>) -> Result<Usage, Off> {
        let text = read(&self.path)?;
        let us = match self.is_ns {
            true => text::number(&text).map(|ns| ns / 1e3),
            false => text::field(&text, "usage_usec"),
        };
        let us = us.ok_or_else(|| format!("/{} tells no CPU time", self.path))?;
        Ok(Usage { us: us as u64, of: self.of })
    }
}

/// Where memory is told.
#[derive(Clone, Debug)]
pub(super) struct MemoryFiles {
    pub(super) current: String,
    pub(super) stat: String,
    /// The field of `stat` with the bytes that can be dropped.
    pub(super) inactive: &'static str,
}

/// The cgroup of the process, in all hierarchies.
#[derive(Clone, Debug, Default)]
pub(super) struct Cgroup {
    /// For people.
    pub(super) path: String,
    pub(super) limits: Vec<Limit>,
    pub(super) usage: Option<UsageFile>,
    pub(super) memory: Option<MemoryFiles>,
    /// Its folder in the hierarchy of v2.
    pub(super) unified: Option<String>,
}

/// A mounted hierarchy: where, and which part of it.
struct Mount {
    point: String,
    root: String,
}

impl Mount {
    /// The folder of the cgroup `path` below the mount: what lies above the mount's own root is not to be seen here.
    fn below(&self, path: &str) -> String {
        let inner = match self.root.as_str() {
            "/" => path,
            root => path.strip_prefix(root).filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or("/"),
        };
        // Seen from another namespace there is no way to it.
        if inner.split('/').any(|part| part == "..") { String::new() } else { inner.trim_matches('/').to_owned() }
    }
}

/// The folders from the cgroup up to the root of the mount.
fn up(mount: &Mount, path: &str) -> Vec<String> {
    let inner = mount.below(path);
    let mut folders = Vec::new();
    let mut rest = inner.as_str();
    loop {
        let slash = if rest.is_empty() { "" } else { "/" };
        folders.push(format!("{}{slash}{rest}", mount.point));
        if rest.is_empty() {
            return folders;
        }
        rest = rest.rfind('/').map_or("", |at| &rest[..at]);
    }
}

/// The mount of v2, or of a controller of v1. Without a table of mounts, where it usually is.
fn mount(mounts: &str, controller: Option<&str>) -> Option<Mount> {
    for line in mounts.lines() {
        let Some((place, kind)) = line.split_once(" - ") else { continue };
        let mut place = place.split(' ').skip(3);
        let (Some(root), Some(point)) = (place.next(), place.next()) else { continue };
        let mut kind = kind.split(' ');
        let (name, options) = (kind.next().unwrap_or_default(), kind.nth(1).unwrap_or_default());
        let is_it = match controller {
            None => name == "cgroup2",
            Some(controller) => name == "cgroup" && options.split(',').any(|it| it == controller),
        };
        if is_it {
            return Some(Mount { point: point.trim_start_matches('/').to_owned(), root: root.to_owned() });
        }
    }
    let usual = |point: String| Mount { point, root: "/".to_owned() };
    mounts.is_empty().then(|| match controller {
        None => usual("sys/fs/cgroup".to_owned()),
        Some(controller) => usual(format!("sys/fs/cgroup/{controller}")),
    })
}

/// Which cgroup it is, so that what one process has read is not gone on with by another of another cgroup. The path
/// says it on one machine but for containers that each see themselves as the root: to them it is one, and readings that
/// do not go together are told by their numbers.
fn identity(path: &str) -> u64 {
    crate::hash::sip_hash([0, 0], path.as_bytes()) | 1
}

impl Cgroup {
    /// By the texts of `/proc/self/cgroup` and `/proc/self/mountinfo`.
    pub(super) fn find(own: &str, mounts: &str) -> Self {
        let mut it = Self::default();
        let of = |controller: &str| {
            own.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (controllers, path) = rest.split_once(':')?;
                controllers.split(',').any(|name| name == controller).then_some(path)
            })
        };
        if let Some(path) = of("") {
            it.add_unified(path, mounts);
        }
        // A controller is in one hierarchy only; where v2 has it, v1 does not say it.
        for (controller, add) in [
            ("cpu", Self::add_cpu as fn(&mut Self, &Mount, &str)),
            ("cpuacct", Self::add_usage),
            ("cpuset", Self::add_cpuset),
            ("memory", Self::add_memory),
        ] {
            if let Some(path) = of(controller)
                && let Some(mount) = mount(mounts, Some(controller))
            {
                path.clone_into(&mut it.path);
                add(&mut it, &mount, path);
            }
        }
        it
    }

    fn add(&mut self, what: What, form: Form, folder: &str, file: &str) {
        self.limits.push(Limit { what, path: format!("{folder}/{file}"), form });
    }

    fn add_unified(&mut self, path: &str, mounts: &str) {
        let Some(mount) = mount(mounts, None) else { return };
        let folders = up(&mount, path);
        path.clone_into(&mut self.path);
        // Seen from inside a container's own namespace its cgroup is the root, and has limits all the same.
        for folder in &folders {
            self.add(What::Cpu, Form::Quota, folder, "cpu.max");
            self.add(What::Memory, Form::Number, folder, "memory.max");
            self.add(What::Memory, Form::Number, folder, "memory.high");
        }
        let own = &folders[0];
        self.add(What::Cpu, Form::Cpus, own, "cpuset.cpus.effective");
        self.usage = Some(UsageFile { path: format!("{own}/cpu.stat"), is_ns: false, of: identity(path) });
        self.memory = Some(MemoryFiles {
            current: format!("{own}/memory.current"),
            stat: format!("{own}/memory.stat"),
            inactive: "inactive_file",
        });
        self.unified = Some(own.clone());
    }

    fn add_cpu(&mut self, mount: &Mount, path: &str) {
        for folder in up(mount, path) {
            self.add(What::Cpu, Form::QuotaOfPeriod, &folder, "cpu.cfs_quota_us");
        }
    }

    fn add_usage(&mut self, mount: &Mount, path: &str) {
        let own = &up(mount, path)[0];
        self.usage = Some(UsageFile { path: format!("{own}/cpuacct.usage"), is_ns: true, of: identity(path) });
    }

    fn add_cpuset(&mut self, mount: &Mount, path: &str) {
        let own = &up(mount, path)[0];
        self.add(What::Cpu, Form::Cpus, own, "cpuset.effective_cpus");
        self.add(What::Cpu, Form::Cpus, own, "cpuset.cpus");
    }

    fn add_memory(&mut self, mount: &Mount, path: &str) {
        let folders = up(mount, path);
        for folder in &folders {
            self.add(What::Memory, Form::Number, folder, "memory.limit_in_bytes");
        }
        self.memory = Some(MemoryFiles {
            current: format!("{}/memory.usage_in_bytes", folders[0]),
            stat: format!("{}/memory.stat", folders[0]),
            inactive: "total_inactive_file",
        });
    }
}
