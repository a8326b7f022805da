//! The gate.

// `#[unsafe(no_mangle)]`, `unsafe impl` for structs of pointers and plain numbers.
#![allow(unsafe_code)]

use crate::breaker::tg_breaker;
use crate::bytes::tg_bytes;
use crate::concurrency::tg_concurrency;
use crate::handle::{Handle, In, Out, Plain, Settings, versioned};
use crate::http::access::tg_access_list;
use crate::mode::mode;
use crate::panic::{guard, guard_system};
use crate::queue::tg_queue;
use crate::set::tg_limit_set;
use crate::shedder::{class, tg_shedder};
use crate::status::{Answer as Status, Failure, tg_status};
use std::ffi::{CString, c_char};
use std::mem::size_of;
use std::sync::Arc;
use std::time::Duration;
use tg_status::{TG_CONFLICT, TG_DENIED, TG_EMPTY, TG_FORBIDDEN, TG_FULL, TG_LATE, TG_NOT_HELD, TG_OK, TG_OPEN};
use tg_status::{TG_OUT_OF_RANGE, TG_SHED, TG_UNKNOWN_VALUE};
use tidegate_core::gate::{Answer, Dependencies, Kind, Outcome, Part, Request, Ticket};
use tidegate_core::http::parse_address;
use tidegate_core::shed::Priority;
use tidegate_core::{Gate, GateConfig};

/// Access list, load shedder, queue, circuit breakers, concurrency limit and rate limits as one decision: a refused
/// call takes nothing of any of them, an admitted one is charged once.
#[derive(Debug)]
pub struct tg_gate {
    pub(crate) gate: Arc<Gate>,
    /// Of the parts, as C reads them.
    names: Vec<(Part, CString)>,
}

impl Handle for tg_gate {}

impl tg_gate {
    pub(crate) fn of(gate: Arc<Gate>) -> Self {
        let own = [Part::Access, Part::Deadline].map(|part| (part, gate.name_of(part).to_owned()));
        let names = gate.parts().map(|(part, name)| (part, name.to_owned())).chain(own);
        // A text from C holds no NUL.
        let names = names.map(|(part, name)| (part, CString::new(name).unwrap_or_default())).collect();
        Self { gate, names }
    }
}

/// What kind of part refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_gate_kind {
    /// The access list: HTTP status 403.
    TG_GATE_ACCESS = 0,
    /// The call's own time is over, or shorter than calls wait in the queue: 504.
    TG_GATE_DEADLINE = 1,
    /// The load shedder: 503.
    TG_GATE_SHEDDER = 2,
    /// The queue takes nothing now: 503.
    TG_GATE_QUEUE = 3,
    /// The circuit of a dependency is open: 503.
    TG_GATE_BREAKER = 4,
    /// The concurrency limit is reached: 503.
    TG_GATE_CONCURRENCY = 5,
    /// A rate limit: 429.
    TG_GATE_LIMIT = 6,
}

/// What became of a call that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_gate_outcome {
    /// It was done: for an adaptive concurrency limit its latency counts.
    TG_GATE_SUCCESS = 0,
    /// It failed, which says nothing of the latency.
    TG_GATE_FAILURE = 1,
    /// It timed out, or was refused by what it called.
    TG_GATE_DROPPED = 2,
    /// It was given up before its end.
    TG_GATE_CANCELLED = 3,
}

/// What calls may depend on.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_gate_dependency {
    /// Not empty, and no other dependency's. Copied.
    pub name: In<c_char>,
    /// Its breaker. Shared.
    pub breaker: In<tg_breaker>,
}

// SAFETY: pointers only, which are NULL or good by the header's law.
unsafe impl Plain for tg_gate_dependency {}

/// What a gate is made of. Start from TG_GATE_CONFIG_INIT; a part that is NULL does not stand in it. Handles are
/// shared: what is asked of them elsewhere counts for the same limits.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_gate_config {
    /// sizeof(tg_gate_config)
    pub struct_size: usize,
    /// Its name. Copied.
    pub name: In<c_char>,
    /// Who passes without being counted, and who is always refused. Copied.
    pub access: In<tg_access_list>,
    /// What is not taken when there is too much to do. Shared.
    pub shedder: In<tg_shedder>,
    /// Its name in refusals; NULL: "shedder". Copied.
    pub shedder_name: In<c_char>,
    /// Where the calls put what is to be done: none is let in while it takes nothing. Shared.
    pub queue: In<tg_queue>,
    /// Its name in refusals; NULL: "queue". Copied.
    pub queue_name: In<c_char>,
    /// How many calls may be under way. Shared.
    pub concurrency: In<tg_concurrency>,
    /// Its name in refusals; NULL: "concurrency". Copied.
    pub concurrency_name: In<c_char>,
    /// How many calls may come. Shared.
    pub limits: In<tg_limit_set>,
    /// What calls may depend on, at most 64. Borrowed during the call, each breaker is shared.
    pub dependencies: In<tg_gate_dependency>,
    /// How many.
    pub dependency_count: usize,
    /// After which outcomes a call's cost is given back to the limits: a bit 1 << TG_GATE_... for each of
    /// tg_gate_outcome. 0: none; who gives up a call could otherwise make as many as it likes.
    pub refund_on: u32,
    /// One of tg_mode.
    pub mode: i32,
}

versioned!(
    tg_gate_config,
    first = 104,
    fields = [
        name,
        access,
        shedder,
        shedder_name,
        queue,
        queue_name,
        concurrency,
        concurrency_name,
        limits,
        dependencies,
        dependency_count,
        refund_on,
        mode
    ]
);
// SAFETY: pointers and numbers only.
unsafe impl Settings for tg_gate_config {}

impl Default for tg_gate_config {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            name: In::default(),
            access: In::default(),
            shedder: In::default(),
            shedder_name: In::default(),
            queue: In::default(),
            queue_name: In::default(),
            concurrency: In::default(),
            concurrency_name: In::default(),
            limits: In::default(),
            dependencies: In::default(),
            dependency_count: 0,
            refund_on: 0,
            mode: 0,
        }
    }
}

fn named(name: &In<c_char>, argument: &'static str, own: Kind) -> Result<String, Failure> {
    Ok(name.text(argument)?.unwrap_or(own.name()).to_owned())
}

impl tg_gate_config {
    fn checked(&self) -> Result<GateConfig, Failure> {
        let name = self.name.text("name")?.ok_or_else(|| Failure::null("name"))?;
        if self.refund_on >> Outcome::ALL.len() != 0 {
            let message = format!("refund_on: {} has bits that are no 1 << of tg_gate_outcome", self.refund_on);
            return Err(Failure::new(TG_UNKNOWN_VALUE, message));
        }
        let shedder = match self.shedder.get_or_none() {
            Some(it) => Some((named(&self.shedder_name, "shedder_name", Kind::Shedder)?, it.0.clone())),
            None => None,
        };
        let queue = match self.queue.get_or_none() {
            Some(it) => Some((named(&self.queue_name, "queue_name", Kind::Queue)?, it.0.clone() as _)),
            None => None,
        };
        let concurrency = match self.concurrency.get_or_none() {
            Some(it) => Some((named(&self.concurrency_name, "concurrency_name", Kind::Concurrency)?, it.0.clone())),
            None => None,
        };
        let dependencies = self.dependencies.array(self.dependency_count, "dependencies")?;
        let dependency = |it: &tg_gate_dependency| {
            let name = it.name.text("dependencies")?.ok_or_else(|| Failure::null("dependencies"))?;
            Ok((name.to_owned(), it.breaker.share("dependencies")?))
        };
        Ok(GateConfig {
            access: self.access.get_or_none().map(|list| list.0.clone()),
            shedder,
            queue,
            concurrency,
            limits: self.limits.get_or_none().map(|limits| limits.set.clone()),
            dependencies: dependencies.iter().map(dependency).collect::<Result<_, Failure>>()?,
            refund_on: Outcome::ALL.into_iter().filter(|it| self.refund_on >> *it as u32 & 1 != 0).collect(),
            mode: mode(self.mode)?,
            ..GateConfig::new(name)
        })
    }
}

/// A call that wants to be let in. Start from TG_GATE_REQUEST_INIT.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_gate_request {
    /// sizeof(tg_gate_request)
    pub struct_size: usize,
    /// One for each limiter of the limits, in order; an access list looks at them too. Borrowed during the call.
    pub keys: In<tg_bytes>,
    /// How many.
    pub key_count: usize,
    /// The client's address, for an access list; NULL or no address: no network fits. Borrowed during the call.
    pub address: In<c_char>,
    /// How long the caller still waits; TG_NEVER: without an end. 0 is over.
    pub deadline_ns: u64,
    /// What it will call: bit n for the nth dependency of the config.
    pub dependencies: u64,
    /// What it takes of each limit.
    pub cost: u32,
    /// Its place within its class, 0 to 127: tg_shedder_level_of() its user.
    pub level: u32,
    /// One of tg_priority.
    pub priority: i32,
    /// Its partition of the concurrency limit, tg_concurrency_partition(); 0: none.
    pub partition: u32,
}

versioned!(
    tg_gate_request,
    first = 64,
    fields = [keys, key_count, address, deadline_ns, dependencies, cost, level, priority, partition]
);
// SAFETY: pointers and numbers only.
unsafe impl Settings for tg_gate_request {}

impl Default for tg_gate_request {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            keys: In::default(),
            key_count: 0,
            address: In::default(),
            deadline_ns: u64::MAX,
            dependencies: 0,
            cost: 1,
            level: 0,
            priority: Priority::Normal as i32,
            partition: 0,
        }
    }
}

/// The most keys of a call.
const MOST_KEYS: usize = 16;

impl tg_gate_request {
    /// Calls `ask` with the request as the core takes it.
    fn with<T>(
        &self,
        gate: &Gate,
        ask: impl FnOnce(&Request<'_>) -> Result<T, tidegate_core::ConfigError>,
    ) -> Result<T, Failure> {
        let dependencies = gate.dependency_names().count();
        let given = self.keys.array(self.key_count, "keys")?;
        let mut keys = [&[][..]; MOST_KEYS];
        let Some(taken) = keys.get_mut(..given.len()) else {
            let message = format!("keys: {} is more than a gate can take ({MOST_KEYS})", given.len());
            return Err(Failure::new(TG_CONFLICT, message));
        };
        for (key, given) in taken.iter_mut().zip(given) {
            *key = given.get("keys")?;
        }
        if self.dependencies.checked_shr(dependencies as u32).unwrap_or(0) != 0 {
            let message = format!(
                "dependencies: bits {:#x} are more than the {dependencies} dependencies of the gate; give bit n for \
                 the nth of its config",
                self.dependencies
            );
            return Err(Failure::new(TG_OUT_OF_RANGE, message));
        }
        let (priority, level) = class(self.priority, self.level)?;
        Ok(ask(&Request {
            keys: taken,
            address: self.address.text("address")?.and_then(|text| parse_address(text.as_bytes())),
            priority,
            level,
            cost: self.cost,
            deadline: (self.deadline_ns != u64::MAX).then(|| Duration::from_nanos(self.deadline_ns)),
            dependencies: Dependencies::of_bits(self.dependencies),
            partition: gate.partition_numbered(self.partition)?,
        })?)
    }
}

/// A gate's answer to a call, and what the call holds. Start from TG_ADMISSION_INIT, and keep one of a call: see
/// tg_gate_finish() of copies.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_admission {
    /// sizeof(tg_admission)
    pub struct_size: usize,
    /// Opaque: what the call holds, until tg_gate_finish().
    pub held: [u64; 19],
    /// Time until another try makes sense: 0 when allowed, and where nobody waits for it any more; TG_NEVER.
    pub retry_after_ns: u64,
    /// Time until the limit that decided is full again.
    pub reset_after_ns: u64,
    /// Time to wait before acting on an admission; 0 without a leaky bucket.
    pub delay_ns: u64,
    /// The shedder's pressure at its last step, 0 to 1; 0 without a shedder.
    pub pressure: f64,
    /// The most tokens at once of the limit that decided: of the one that refused, else of the one with the fewest
    /// left; 0 where no limit was asked.
    pub limit: u32,
    /// Tokens that are left of it.
    pub remaining: u32,
    /// What kind of part refused, the one with the longest wait (one of tg_gate_kind); -1: none. In a dry run what
    /// would have.
    pub kind: i32,
    /// Which of its kind: the place of the dependency, or of the member of the limits.
    pub place: u32,
    /// The HTTP status of a refusal; 0 when allowed.
    pub http_status: u32,
    /// What it took of each limit.
    pub cost: u32,
    /// 1 or 0.
    pub allowed: i32,
    /// 0.
    pub reserved: u32,
}

const _: () = assert!(Ticket::WORDS == 19);

versioned!(
    tg_admission,
    first = 224,
    fields = [
        held,
        retry_after_ns,
        reset_after_ns,
        delay_ns,
        pressure,
        limit,
        remaining,
        kind,
        place,
        http_status,
        cost,
        allowed,
        reserved
    ]
);
// SAFETY: numbers only.
unsafe impl Settings for tg_admission {}

impl Default for tg_admission {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            held: [0; 19],
            retry_after_ns: 0,
            reset_after_ns: 0,
            delay_ns: 0,
            pressure: 0.0,
            limit: 0,
            remaining: 0,
            kind: -1,
            place: 0,
            http_status: 0,
            cost: 0,
            allowed: 0,
            reserved: 0,
        }
    }
}

impl tg_admission {
    fn of(answer: &Answer, ticket: &Ticket, cost: u32) -> Self {
        Self {
            held: ticket.to_words(),
            retry_after_ns: answer.retry_after_ns,
            reset_after_ns: answer.reset_after_ns,
            delay_ns: answer.delay_ns,
            pressure: answer.pressure,
            limit: answer.limit,
            remaining: answer.remaining,
            kind: answer.kind().map_or(-1, |kind| kind as i32),
            place: answer.denied_by.map_or(0, |part| part.place() as u32),
            http_status: answer.status().unwrap_or(0).into(),
            cost,
            allowed: answer.allowed.into(),
            ..Self::default()
        }
    }

    /// The part that it names.
    fn part(&self) -> Option<Part> {
        let (kind, place) = (usize::try_from(self.kind).ok().and_then(|at| Kind::ALL.get(at))?, self.place as usize);
        Some(match kind {
            Kind::Access => Part::Access,
            Kind::Deadline => Part::Deadline,
            Kind::Shedder => Part::Shedder,
            Kind::Queue => Part::Queue,
            Kind::Breaker => Part::Breaker(place),
            Kind::Concurrency => Part::Concurrency,
            Kind::Limit => Part::Limit(place),
        })
    }

    /// What it says of a refusal.
    fn answer(&self) -> Answer {
        Answer {
            allowed: self.allowed != 0,
            denied_by: self.part(),
            retry_after_ns: self.retry_after_ns,
            limit: self.limit,
            remaining: self.remaining,
            reset_after_ns: self.reset_after_ns,
            delay_ns: self.delay_ns,
            pressure: self.pressure,
        }
    }
}

/// Counts since a gate was made. Start from TG_GATE_SNAPSHOT_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_gate_snapshot {
    /// sizeof(tg_gate_snapshot)
    pub struct_size: usize,
    // <stats gate>
    /// Calls that were let in, with those of would_deny.
    pub admitted: u64,
    /// Calls that were refused.
    pub denied: u64,
    /// Calls that a dry run let in and would have refused.
    pub would_deny: u64,
    /// Those that were refused, by the kind of the part that the answer named: access. The access list: the client is
    /// on its deny list.
    pub denied_access: u64,
    /// Those that were refused, by the kind of the part that the answer named: deadline. The call's own time is over,
    /// or shorter than calls wait behind the gate.
    pub denied_deadline: u64,
    /// Those that were refused, by the kind of the part that the answer named: shedder. The load shedder.
    pub denied_shedder: u64,
    /// Those that were refused, by the kind of the part that the answer named: queue. The queue takes nothing now.
    pub denied_queue: u64,
    /// Those that were refused, by the kind of the part that the answer named: breaker. The circuit of a dependency is
    /// open.
    pub denied_breaker: u64,
    /// Those that were refused, by the kind of the part that the answer named: concurrency. The concurrency limit is
    /// reached.
    pub denied_concurrency: u64,
    /// Those that were refused, by the kind of the part that the answer named: limit. A rate limit.
    pub denied_limit: u64,
    // </stats>
}

versioned!(
    tg_gate_snapshot,
    first = 88,
    fields = [
        admitted,
        denied,
        would_deny,
        denied_access,
        denied_deadline,
        denied_shedder,
        denied_queue,
        denied_breaker,
        denied_concurrency,
        denied_limit
    ]
);

/// Makes a gate.
///
/// Errors: TG_NULL (name, the name or breaker of a dependency); TG_UTF8; TG_SYNTAX (an empty name); TG_CONFLICT (a
/// dependency's name that is empty or comes twice, more than 64 of them); TG_UNKNOWN_VALUE (refund_on, mode).
#[unsafe(no_mangle)]
pub extern "C" fn tg_gate_new(config: In<tg_gate_config>, gate: Out<*mut tg_gate>) -> tg_status {
    guard_system(|| {
        let config = config.read("config")?;
        gate.require("gate")?;
        gate.give(tg_gate::of(Arc::new(Gate::new(config.checked()?)?)));
        Ok(TG_OK)
    })
}

/// Frees a gate; NULL is fine. Its parts go on; what calls still hold of them must be finished before.
#[unsafe(no_mangle)]
pub extern "C" fn tg_gate_free(gate: Out<tg_gate>) {
    guard_system(|| {
        gate.free();
        Ok(TG_OK)
    });
}

fn decided(answer: &Answer) -> tg_status {
    match answer.kind().filter(|_| !answer.allowed) {
        None => TG_OK,
        Some(Kind::Access) => TG_FORBIDDEN,
        Some(Kind::Deadline) => TG_LATE,
        Some(Kind::Shedder) => TG_SHED,
        Some(Kind::Queue) => TG_FULL,
        Some(Kind::Breaker) => TG_OPEN,
        Some(Kind::Concurrency | Kind::Limit) => TG_DENIED,
    }
}

fn admit(
    gate: &In<tg_gate>,
    request: &In<tg_gate_request>,
    admission: &Out<tg_admission>,
    decide: impl FnOnce(&Gate, &Request<'_>) -> Result<(Answer, Ticket), tidegate_core::ConfigError>,
) -> Status {
    let (gate, request) = (&gate.get("gate")?.gate, request.read("request")?);
    let room = admission.room("admission")?;
    let (answer, ticket) = request.with(gate, |asked| decide(gate, asked))?;
    admission.fill(room, tg_admission::of(&answer, &ticket, request.cost));
    Ok(decided(&answer))
}

/// Asks for a call: first a look at all parts without a write, then the taking. TG_OK, and what the call holds stands
/// in *admission until tg_gate_finish(); or the refusal of the part with the longest wait: TG_FORBIDDEN (access list),
/// TG_LATE (deadline), TG_SHED, TG_FULL (queue), TG_OPEN (a dependency's circuit), TG_DENIED (concurrency limit, rate
/// limits), and nothing was taken. The circuits of its dependencies are looked at only: ask tg_breaker_acquire() for
/// each call to them.
///
/// Ownership: what was in *admission before is overwritten, not given back.
/// Errors: TG_CONFLICT (more or fewer keys than limiters, a partition without a concurrency limit); TG_OUT_OF_RANGE (a
/// length, level, bits of dependencies, partition); TG_UNKNOWN_VALUE (priority); TG_UTF8 (address).
#[unsafe(no_mangle)]
pub extern "C" fn tg_gate_admit(
    gate: In<tg_gate>,
    request: In<tg_gate_request>,
    admission: Out<tg_admission>,
) -> tg_status {
    // What makes system calls (a file that a shedder reads) holds cancellation off.
    guard_system(|| admit(&gate, &request, &admission, Gate::decide))
}

/// tg_gate_admit() at now_ns of the gate's clock, which is that of its limits, else of the first part that has one; by
/// a random number from 0 up to, but not including, 1, for a shedder. Parts on another clock read that.
#[unsafe(no_mangle)]
pub extern "C" fn tg_gate_admit_at(
    gate: In<tg_gate>,
    now_ns: u64,
    request: In<tg_gate_request>,
    draw: f64,
    admission: Out<tg_admission>,
) -> tg_status {
    guard_system(|| admit(&gate, &request, &admission, |gate, asked| gate.decide_at(now_ns, draw, asked)))
}

fn finish(
    gate: &In<tg_gate>,
    admission: &Out<tg_admission>,
    outcome: i32,
    end: impl FnOnce(&Gate, &mut Ticket, Outcome) -> bool,
) -> Status {
    let gate = &gate.get("gate")?.gate;
    let room = admission.room("admission")?;
    let mut held = admission.as_in().read("admission")?;
    let outcome = *usize::try_from(outcome).ok().and_then(|at| Outcome::ALL.get(at)).ok_or_else(|| {
        let message =
            format!("outcome: {outcome} is none of tg_gate_outcome, TG_GATE_SUCCESS (0) to TG_GATE_CANCELLED (3)");
        Failure::new(TG_UNKNOWN_VALUE, message)
    })?;
    let mut ticket = Ticket::of_words(&held.held);
    let ended = end(gate, &mut ticket, outcome);
    held.held = [0; 19];
    admission.fill(room, held);
    Ok(if ended { TG_OK } else { TG_NOT_HELD })
}

/// The call has ended: its permit goes back, with what became of it (one of tg_gate_outcome); its cost too, if
/// refund_on says so. TG_OK, or TG_NOT_HELD, and nothing happens: it was finished before, was refused, or belongs to
/// the parent of this process. On any thread, by one at a time.
///
/// Keep one tg_admission of a call, do not copy it: a permit goes back once, even of a copy, but without a concurrency
/// limit a copy counts as another call, and its cost is given back again.
///
/// Errors: TG_UNKNOWN_VALUE (outcome).
#[unsafe(no_mangle)]
pub extern "C" fn tg_gate_finish(gate: In<tg_gate>, admission: Out<tg_admission>, outcome: i32) -> tg_status {
    guard(|| finish(&gate, &admission, outcome, Gate::finish))
}

/// tg_gate_finish() at now_ns of the limits' clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_gate_finish_at(
    gate: In<tg_gate>,
    now_ns: u64,
    admission: Out<tg_admission>,
    outcome: i32,
) -> tg_status {
    guard(|| finish(&gate, &admission, outcome, |gate, ticket, outcome| gate.finish_at(now_ns, ticket, outcome)))
}

/// Tells the name of the part that *admission names: TG_OK, or TG_EMPTY where it names none.
///
/// Ownership: *name is the gate's, good until tg_gate_free().
/// Errors: TG_OUT_OF_RANGE (a place that the gate does not have).
#[unsafe(no_mangle)]
pub extern "C" fn tg_gate_denied_by(
    gate: In<tg_gate>,
    admission: In<tg_admission>,
    name: Out<*const c_char>,
) -> tg_status {
    guard(|| {
        let (gate, admission) = (gate.get("gate")?, admission.read("admission")?);
        name.require("name")?;
        let Some(part) = admission.part() else { return Ok(TG_EMPTY) };
        let found = gate.names.iter().find(|(it, _)| *it == part).ok_or_else(|| {
            Failure::new(TG_OUT_OF_RANGE, format!("admission: the gate has no part {} of its kind", admission.place))
        })?;
        name.set(found.1.as_ptr());
        Ok(TG_OK)
    })
}

/// Writes the refusal in words: "limiter "client" (100/min) refused 1 token: try again in 0.5 s". *length is that of
/// the text, without its NUL; TG_EMPTY, and no text, where *admission is no refusal.
///
/// Ownership: buffer may be NULL when size is 0, to ask for the length.
/// Errors: TG_BUFFER (too few bytes; nothing is written but *length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_gate_refusal(
    gate: In<tg_gate>,
    admission: In<tg_admission>,
    buffer: Out<c_char>,
    size: usize,
    length: Out<usize>,
) -> tg_status {
    guard(|| {
        let (gate, admission) = (&gate.get("gate")?.gate, admission.read("admission")?);
        if admission.allowed != 0 || admission.part().is_none() {
            length.set(0);
            return Ok(TG_EMPTY);
        }
        buffer.fill_text(size, &length, &gate.refused(&admission.answer(), admission.cost).to_string())
    })
}

/// Writes what every part says of such a call now, a line each: "limit "client" allows: 3 of 5 left". Takes and counts
/// nothing. For people, and the text may change. *length is that of the text, without its NUL.
///
/// Ownership: buffer may be NULL when size is 0, to ask for the length.
/// Errors: as tg_gate_admit(); TG_BUFFER (too few bytes; nothing is written but *length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_gate_explain(
    gate: In<tg_gate>,
    request: In<tg_gate_request>,
    buffer: Out<c_char>,
    size: usize,
    length: Out<usize>,
) -> tg_status {
    guard(|| {
        let (gate, request) = (&gate.get("gate")?.gate, request.read("request")?);
        let said = request.with(gate, |asked| gate.explain(asked))?;
        let text: String = said.iter().map(|line| format!("{line}\n")).collect();
        buffer.fill_text(size, &length, &text)
    })
}

/// Tells the counts since the gate was made, of this process.
#[unsafe(no_mangle)]
pub extern "C" fn tg_gate_stats(gate: In<tg_gate>, snapshot: Out<tg_gate_snapshot>) -> tg_status {
    guard(|| {
        let gate = &gate.get("gate")?.gate;
        let room = snapshot.room("snapshot")?;
        snapshot.fill(room, gate.stats().into());
        Ok(TG_OK)
    })
}
