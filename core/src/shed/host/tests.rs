//! Trees of files as kernels show them, and what is read of them.

use super::super::signal::Signal;
use super::*;
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of its own, gone at the end.
struct Tree(PathBuf);

impl Tree {
    fn new(files: &Value) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tidegate-shed-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let it = Self(std::env::temp_dir().join(name));
        for (path, text) in files.as_object().expect("files") {
            it.write(path, text.as_str().expect("a text"));
        }
        it
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("written");
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn host(tree: &Tree, cpu_limit: Option<f64>) -> Host {
    let signals = vec![Signal::new(SignalKind::Memory)];
    Host::new(&ShedderConfig { root: tree.0.clone(), cpu_limit, ..ShedderConfig::new(signals) })
}

/// As JSON has it: a number, or null where there is none.
fn told(found: Result<Found, Off>) -> Value {
    match found {
        Ok(Found::Value(_, value)) => value.into(),
        Ok(Found::Cpu { usage, limit }) => serde_json::json!({ "us": usage.us, "cpus": limit }),
        Ok(Found::Nothing) | Err(_) => Value::Null,
    }
}

#[test]
fn trees() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cgroup_trees.json");
    let all: Value = serde_json::from_str(&fs::read_to_string(path).expect("the file")).expect("JSON");
    for case in all["cases"].as_array().expect("cases") {
        let tree = Tree::new(&case["files"]);
        let host = host(&tree, case["cpu_limit"].as_f64());
        drop(host.run(Job::Cache));
        let jobs =
            [("cpu", Job::Cpu), ("memory", Job::Memory), ("psi_cpu", Job::PsiCpu), ("psi_memory", Job::PsiMemory)];
        for (name, job) in jobs {
            assert_eq!(told(host.run(job)), case["expect"][name], "{}: {name}", case["name"]);
        }
    }
}

#[test]
fn limits_change_while_it_runs_and_a_process_can_be_moved() {
    let tree = Tree::new(&serde_json::json!({
        "proc/self/cgroup": "0::/a\n",
        "sys/fs/cgroup/a/cpu.max": "200000 100000\n",
        "sys/fs/cgroup/a/cpu.stat": "usage_usec 5\n",
        "sys/fs/cgroup/b/cpu.max": "400000 100000\n",
        "sys/fs/cgroup/b/cpu.stat": "usage_usec 7\n",
    }));
    let host = host(&tree, None);
    let cpus = || told(host.run(Job::Cpu));
    assert_eq!(cpus(), serde_json::json!({ "us": 5, "cpus": 2.0 }));
    let round = || (0..20).for_each(|_| assert_eq!(host.run(Job::Limits), Ok(Found::Nothing)));
    tree.write("sys/fs/cgroup/a/cpu.max", "100000 100000\n");
    round();
    assert_eq!(cpus(), serde_json::json!({ "us": 5, "cpus": 1.0 }));
    tree.write("proc/self/cgroup", "0::/b\n");
    round();
    assert_eq!(cpus(), serde_json::json!({ "us": 7, "cpus": 4.0 }));
    fs::remove_file(tree.0.join("sys/fs/cgroup/b/cpu.stat")).expect("removed");
    assert!(host.run(Job::Cpu).is_err_and(|why| why.contains("cpu.stat cannot be read")));
}

#[test]
fn nothing_is_there() {
    let host = host(&Tree::new(&serde_json::json!({})), None);
    for job in [Job::Cpu, Job::Memory, Job::PsiCpu, Job::PsiMemory] {
        assert!(host.run(job).is_err(), "{job:?}");
    }
}

#[test]
fn texts_that_are_none() {
    assert_eq!(["", "max max", "-1 100", "5 0", "a b"].map(text::quota), [None; 5]);
    assert_eq!(["", "3-1", "a", "0-99999999999999999999"].map(text::cpus), [None; 4]);
    assert_eq!([text::cpus("0-3,8,10-11\n"), text::cpus("0\n")], [Some(7.0), Some(1.0)]);
    assert_eq!(["", "-5", "nan", "inf"].map(text::number), [None; 4]);
    assert_eq!(text::pressure("some avg10=x avg60=0", "some"), None);
    assert_eq!(text::machine_memory("MemTotal: 0 kB\nMemAvailable: 0 kB"), None);
}

#[test]
#[cfg(target_os = "linux")]
fn this_machine() {
    let signals = vec![Signal::new(SignalKind::Memory)];
    let host = Host::new(&ShedderConfig::new(signals));
    drop(host.run(Job::Cache));
    let found = host.run(Job::Memory);
    assert!(matches!(found, Ok(Found::Value(SignalKind::Memory, part)) if part > 0.0 && part < 1.5), "{found:?}");
    let found = host.run(Job::Cpu);
    assert!(matches!(found, Ok(Found::Cpu { limit, .. }) if limit > 0.0), "{found:?}");
}
