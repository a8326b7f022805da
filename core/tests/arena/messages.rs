//! A process that a test talks with, line by line.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What it says begins so: the test harness prints lines of its own.
const SAYS: &str = "child: ";

/// The process; it ends with this.
pub(crate) struct Messages {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    input: ChildStdin,
}

impl Messages {
    /// Starts it, and waits until it says that it is ready. `command`: a test binary, perhaps within something else; it
    /// runs the one test `test`.
    pub(crate) fn start(mut command: Command, test: &str) -> Self {
        let mut child = command
            .args(["--exact", test, "--nocapture"])
            .env_remove("TIDEGATE_DIR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let said = BufReader::new(child.stdout.take().expect("its output")).lines();
        let input = child.stdin.take().expect("its input");
        let mut speaking = Self { child, said, input };
        assert_eq!(speaking.hear(), "ready");
        speaking
    }

    #[allow(dead_code, reason = "not every test asks")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn tell(&mut self, what: &str) {
        writeln!(self.input, "{what}").expect("it listens");
    }

    /// What it says next.
    pub(crate) fn hear(&mut self) -> String {
        let said = self.said.by_ref().map(|line| line.expect("a line"));
        let mut ours = said.filter_map(|line| line.split_once(SAYS).map(|(_, rest)| rest.to_owned()));
        ours.next().expect("it lives and speaks")
    }

    pub(crate) fn ask(&mut self, what: &str) -> String {
        self.tell(what);
        self.hear()
    }

    /// kill -9, and waits for its end.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.end();
    }
}

/// In the process: to who listens.
pub(crate) fn say(what: &str) {
    // One write: the harness writes to the same place.
    let line = format!("{SAYS}{what}\n");
    std::io::stdout().write_all(line.as_bytes()).expect("a listener");
}
