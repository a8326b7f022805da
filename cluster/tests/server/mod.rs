//! A redis-server of the test's own.

// Each test uses a part of it.
#![allow(dead_code)]

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

pub(crate) struct Server {
    port: String,
    child: Child,
    /// Where it keeps what it does, if it keeps anything.
    folder: Option<PathBuf>,
    /// What else it was started with.
    more: Vec<String>,
    /// A library that is loaded before its own.
    preload: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    Stop,
    Continue,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn spawn(port: &str, folder: Option<&Path>, more: &[String], preload: Option<&Path>) -> Option<Child> {
    let mut command = Command::new("redis-server");
    command.args(["--port", port, "--bind", "127.0.0.1", "--save", ""]).args(more);
    if let Some(folder) = folder {
        command.arg("--dir").arg(folder);
    }
    if let Some(library) = preload {
        command.env("LD_PRELOAD", library).env("SKEW_FILE", library.with_extension("skew"));
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tidegate-cluster-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

impl Server {
    /// `None`: there is none on this machine, which is said.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(None, &[], None)
    }

    /// One that keeps a log of what is written, in a folder of its own.
    pub(crate) fn start_logged(name: &str) -> Option<Self> {
        Self::start_with(Some(folder(name)), &["--appendonly", "yes", "--appendfsync", "everysec"], None)
    }

    /// One that reads again what it was told to `SAVE`, from a folder of its own.
    pub(crate) fn start_saving(name: &str) -> Option<Self> {
        Self::start_with(Some(folder(name)), &[], None)
    }

    /// A node of a cluster, in a folder of its own.
    pub(crate) fn start_node(name: &str) -> Option<Self> {
        Self::start_with(Some(folder(name)), &["--cluster-enabled", "yes"], None)
    }

    /// One that finds `library` in front of the system's own.
    pub(crate) fn start_preloaded(library: PathBuf) -> Option<Self> {
        Self::start_with(None, &[], Some(library))
    }

    fn start_with(folder: Option<PathBuf>, more: &[&str], preload: Option<PathBuf>) -> Option<Self> {
        let more: Vec<String> = more.iter().map(|&word| word.to_owned()).collect();
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port().to_string();
        let Some(child) = spawn(&port, folder.as_deref(), &more, preload.as_deref()) else {
            static TOLD: Once = Once::new();
            // Past the harness, which keeps what a test that passes prints.
            TOLD.call_once(|| {
                drop(writeln!(
                    std::io::stderr(),
                    "SKIPPED\twhat asks a real store: no redis-server here (apt install redis-server)"
                ))
            });
            return None;
        };
        let server = Self { port, child, folder, more, preload };
        server.answers();
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.parse().expect("a port")
    }

    fn answers(&self) {
        let client = redis::Client::open(self.url()).expect("a url");
        let deadline = Instant::now() + Duration::from_secs(10);
        while client.get_connection().is_err() {
            assert!(Instant::now() < deadline, "redis-server does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// As a crash ends it.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Another one at the same address.
    pub(crate) fn again(&mut self) {
        let (folder, preload) = (self.folder.as_deref(), self.preload.as_deref());
        self.child = spawn(&self.port, folder, &self.more, preload).expect("it was there before");
        self.answers();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
        };
        let done = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill");
        assert!(done.success());
    }

    pub(crate) fn connect(&self) -> redis::Connection {
        redis::Client::open(self.url()).and_then(|client| client.get_connection()).expect("it answers")
    }

    pub(crate) fn say(&self, command: &[&str]) {
        redis::cmd(command[0]).arg(&command[1..]).exec(&mut self.connect()).expect("it obeys");
    }

    pub(crate) fn ask(&self, command: &[&str]) -> Vec<String> {
        redis::cmd(command[0]).arg(&command[1..]).query(&mut self.connect()).expect("an answer")
    }
}
