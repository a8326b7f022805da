//! Interleaved measuring.
//!
//! criterion and divan finish one benchmark before they begin the next, so a machine that changes its speed meanwhile
//! changes the ratio. Here a round measures every contender of a row once, in an order that rotates, and each on a
//! fresh object; what is compared is always of the same round.

use std::hint;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How much to measure.
#[derive(Clone)]
pub struct Plan {
    /// Rounds of a row: each measures every contender once.
    pub rounds: usize,
    /// The time that one measurement takes, about.
    pub batch: Duration,
    /// Rounds that an object lasts: one that is dear to fill is not made for each.
    pub keep: usize,
    /// A row ends early, with fewer rounds, when it has taken this long: on a busy machine most measurements are
    /// repeated.
    pub row: Duration,
    /// Rows whose name contains one of these; all if empty.
    pub only: Vec<String>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { rounds: 301, batch: Duration::from_micros(500), keep: 1, row: Duration::from_secs(15), only: Vec::new() }
    }
}

/// Does the measured operation as often as it is told to.
pub type Body = Box<dyn Fn(u64) + Send + Sync>;

/// One line of a row: something that makes a fresh object and the operation on it.
pub struct Contender {
    name: &'static str,
    floor: bool,
    make: Box<dyn Fn() -> Body>,
}

impl Contender {
    /// `make` gives the operation on a fresh object. It is inlined into the loop that repeats it.
    pub fn new<R, F>(name: &'static str, make: impl Fn() -> F + 'static) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
    {
        Self {
            name,
            floor: false,
            make: Box::new(move || {
                let operation = make();
                Box::new(move |times| {
                    for _ in 0..times {
                        hint::black_box(operation());
                    }
                })
            }),
        }
    }

    /// For an operation that needs something of its own on each thread: `body` makes that, then loops.
    pub fn looping(name: &'static str, make: impl Fn() -> Body + 'static) -> Self {
        Self { name, floor: false, make: Box::new(make) }
    }

    /// The same as a floor: not a peer.
    pub fn into_floor(self) -> Self {
        Self { floor: true, ..self }
    }
}

/// A row of the table. The first contender is tidegate's.
pub struct Row {
    pub work: &'static str,
    pub threads: usize,
    /// The contender that is the floor.
    pub floor: Option<&'static str>,
    /// (contender, the most that tidegate's time may be of its time).
    pub targets: &'static [(&'static str, f64)],
    pub contenders: Vec<Contender>,
}

impl Plan {
    /// Measures a row and prints it as a line of JSON.
    pub fn measure(&self, row: Row) {
        if !self.wants(row.work) {
            return;
        }
        eprintln!("  {}", row.work);
        let (mut bodies, times): (Vec<Body>, Vec<u64>) =
            row.contenders.iter().map(|contender| self.calibrate(contender, row.threads)).unzip();
        let mut samples = vec![Vec::with_capacity(self.rounds); row.contenders.len()];
        let began = Instant::now();
        for round in 0..self.rounds {
            if began.elapsed() > self.row {
                eprintln!("    {round} of {} rounds: the machine is busy", self.rounds);
                break;
            }
            for turn in 0..row.contenders.len() {
                let index = (round + turn) % row.contenders.len();
                // An object that lasts may as well begin with the calibration.
                if round % self.keep == 0 && (round > 0 || self.keep == 1) {
                    bodies[index] = (row.contenders[index].make)();
                }
                samples[index].push(time(&bodies[index], times[index], row.threads));
            }
        }
        println!("{}", json(&row, &samples));
    }

    /// Whether the row was asked for.
    pub fn wants(&self, work: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| work.contains(part.as_str()))
    }

    /// The operation, and how often a thread does it in about `batch`.
    fn calibrate(&self, contender: &Contender, threads: usize) -> (Body, u64) {
        let body = (contender.make)();
        let mut times = 20;
        loop {
            let each = time(&body, times, threads) * threads as f64;
            let took = each * times as f64;
            let wanted = self.batch.as_nanos() as f64;
            if took > wanted / 4.0 {
                return (body, ((wanted / each) as u64).max(20));
            }
            times *= 4;
        }
    }
}

/// Nanoseconds an operation, undisturbed if the machine allows it: a measurement in which the kernel took a thread off
/// its processor is repeated, since then it timed another program, or one thread where there should have been two.
fn time(body: &Body, times: u64, threads: usize) -> f64 {
    const TRIES: usize = 20;
    let mut last = f64::NAN;
    for _ in 0..TRIES {
        let (each, preempted) = try_time(body, times, threads);
        last = each;
        if !preempted {
            break;
        }
    }
    last
}

/// The time from the first start to the last end, over the operations of all threads; and whether one of them was
/// preempted meanwhile.
fn try_time(body: &Body, times: u64, threads: usize) -> (f64, bool) {
    let ready = AtomicUsize::new(0);
    let run = |cpu: usize| {
        pin(cpu);
        // Per-thread state that a library makes on first use is not the operation.
        body(times / 16 + 1);
        // Before the signal: a thread that loses its processor while it waits would start after the other.
        let before = preemptions();
        // Relaxed: only a starting signal, it publishes nothing.
        ready.fetch_add(1, Ordering::Relaxed);
        let mut spins = 0_u32;
        // Relaxed: as above.
        while ready.load(Ordering::Relaxed) < threads {
            spins += 1;
            if spins > 10_000 { std::thread::yield_now() } else { hint::spin_loop() }
        }
        let start = Instant::now();
        body(times);
        let end = Instant::now();
        (start, end, preemptions() != before)
    };
    let spans: Vec<(Instant, Instant, bool)> = std::thread::scope(|scope| {
        let run = &run;
        let handles: Vec<_> = (0..threads).map(|cpu| scope.spawn(move || run(cpu))).collect();
        handles.into_iter().map(|handle| handle.join().expect("the operation panicked")).collect()
    });
    let start = spans.iter().map(|span| span.0).min().expect("at least one thread");
    let end = spans.iter().map(|span| span.1).max().expect("at least one thread");
    let each = (end - start).as_nanos() as f64 / (times * threads as u64) as f64;
    (each, spans.iter().any(|span| span.2))
}

/// How often the kernel has taken this thread off its processor.
#[cfg(target_os = "linux")]
fn preemptions() -> i64 {
    // SAFETY: a rusage is plain numbers, for which zero is a value; the call writes only into it.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_THREAD, &mut usage);
        usage.ru_nivcsw
    }
}

#[cfg(not(target_os = "linux"))]
fn preemptions() -> i64 {
    0
}

/// Keeps this thread on the `nth` of the processors that it may use, counted from the last (the first serves most
/// interrupts).
#[cfg(target_os = "linux")]
pub fn pin(nth: usize) {
    // SAFETY: a cpu_set_t is plain bits, for which zero is a value; the calls read and write only the set that they are
    // given.
    unsafe {
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        let size = size_of::<libc::cpu_set_t>();
        if libc::sched_getaffinity(0, size, &mut allowed) != 0 {
            return;
        }
        let cpus = (0..libc::CPU_SETSIZE as usize).rev().filter(|&cpu| libc::CPU_ISSET(cpu, &allowed));
        if let Some(cpu) = cpus.cycle().nth(nth) {
            let mut one: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(cpu, &mut one);
            libc::sched_setaffinity(0, size, &one);
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub fn pin(_nth: usize) {}

fn json(row: &Row, samples: &[Vec<f64>]) -> String {
    let list = |values: Vec<String>| values.join(",");
    let contenders = list(
        row.contenders
            .iter()
            .zip(samples)
            .map(|(contender, times)| {
                format!("\"{}\":[{}]", contender.name, list(times.iter().map(|ns| format!("{ns:.2}")).collect()))
            })
            .collect(),
    );
    let targets =
        list(row.targets.iter().map(|(name, most)| format!("{{\"of\":\"{name}\",\"most\":{most}}}")).collect());
    let floors = row.contenders.iter().filter(|contender| contender.floor);
    let floors = list(floors.map(|contender| format!("\"{}\"", contender.name)).collect());
    let floor = row.floor.map_or("null".to_owned(), |name| format!("\"{name}\""));
    format!(
        "{{\"binding\":\"rust\",\"work\":\"{}\",\"tidegate\":\"{}\",\"floor\":{floor},\"floors\":[{floors}],\
         \"targets\":[{targets}],\"ns\":{{{contenders}}}}}",
        row.work, row.contenders[0].name
    )
}
