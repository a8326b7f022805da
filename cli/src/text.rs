//! A snapshot for people.

use crate::paint::Paint;
use crate::rates::{self, Rates};
use crate::snapshot::{ObjectView, Seen, Snapshot};
use crate::table::Column::{Left, Right};
use crate::table::{Column, Table};
use crate::units;
use std::io::{self, Write};
use tidegate::arena::{LAYOUT_VERSION, MOST_OBJECTS, MemberInfo, ObjectKind};
use tidegate::breaker::{Event, State};
use tidegate::concurrency::ConcurrencyHolder;
use tidegate::decision::NEVER;

/// Keys of a registry that people want to see.
const OPEN: usize = 8;

/// `before`: the last one, for what happened since.
pub(crate) fn snapshot(
    snapshot: &Snapshot,
    before: Option<&Snapshot>,
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    head(snapshot, paint, out)?;
    let writer = Writer { snapshot, before, paint };
    for kind in ObjectKind::ALL {
        let mut seen = snapshot.objects.iter().filter(|seen| seen.info.kind == kind).peekable();
        if seen.peek().is_some() {
            writeln!(out)?;
            writer.table(kind, seen).write(out)?;
        }
    }
    writeln!(out)?;
    writer.processes().write(out)
}

fn head(snapshot: &Snapshot, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}  {}", paint.bold(&snapshot.arena), snapshot.path.display())?;
    writeln!(
        out,
        "layout {LAYOUT_VERSION}, made {}, {} of {} used, {} of {MOST_OBJECTS} names taken, {} alive",
        units::ago(snapshot.created_ns),
        units::bytes(snapshot.used),
        units::bytes(snapshot.bytes),
        snapshot.names,
        match snapshot.alive() {
            1 => "1 process".to_owned(),
            more => format!("{more} processes"),
        }
    )
}

struct Writer<'a> {
    snapshot: &'a Snapshot,
    before: Option<&'a Snapshot>,
    paint: Paint,
}

impl Writer<'_> {
    /// The objects of one kind.
    fn table<'s>(&self, kind: ObjectKind, objects: impl Iterator<Item = &'s Seen>) -> Table {
        let counts: &[Column] = match (kind, self.before) {
            (ObjectKind::CircuitBreaker | ObjectKind::BreakerRegistry, None) => &[],
            (ObjectKind::CircuitBreaker | ObjectKind::BreakerRegistry, Some(_)) => &[Right("REJECTED/S")],
            (_, None) => &[Right("ADMITTED"), Right("DENIED"), Right("DENIED %")],
            (_, Some(_)) => &[Right("ADMITTED/S"), Right("DENIED/S"), Right("DENIED %")],
        };
        let own: &[Column] = match kind {
            ObjectKind::TokenBucket => &[Left("TOKEN BUCKET"), Left("QUOTA"), Right("REMAINING"), Right("NEXT IN")],
            ObjectKind::RateLimiter => &[
                Left("RATE LIMITER"),
                Left("ALGORITHM"),
                Left("QUOTA"),
                Right("LIVE KEYS"),
                Right("MEMORY"),
                Right("EVICTED"),
                Right("OVERFLOWED"),
            ],
            ObjectKind::CircuitBreaker => &[
                Left("BREAKER"),
                Left("STATE"),
                Right("PROBE IN"),
                Right("CALLS"),
                Right("FAILED"),
                Right("SLOW"),
                Right("OPENED"),
                Right("REJECTED"),
            ],
            ObjectKind::ConcurrencyLimiter => &[Left("CONCURRENCY"), Right("IN USE"), Right("RECLAIMED")],
            ObjectKind::RetryBudget => &[Left("RETRY BUDGET"), Right("BALANCE"), Right("CALLS")],
            ObjectKind::ClientThrottle => {
                &[Left("CLIENT THROTTLE"), Right("REJECTS"), Right("REQUESTS"), Right("ACCEPTED"), Right("FORCED")]
            }
            ObjectKind::LoadShedder => &[Left("LOAD SHEDDER"), Right("PRESSURE"), Right("SHEDS")],
            ObjectKind::ClusterLimit => &[
                Left("CLUSTER LIMIT"),
                Left("QUOTA"),
                Right("LEASED"),
                Right("ENDS IN"),
                Right("LEFT"),
                Right("ROUND TRIP"),
            ],
            ObjectKind::BreakerRegistry => &[
                Left("BREAKER REGISTRY"),
                Right("BREAKERS"),
                Right("NOT CLOSED"),
                Right("EVICTED"),
                Right("OVERFLOWED"),
                Right("REJECTED"),
            ],
            _ => &[Left("OTHER")],
        };
        let mut table = Table::new(&[own, counts].concat());
        for seen in objects {
            match &seen.view {
                Ok(view) => self.object(seen, view, &mut table),
                Err(error) => {
                    table.row([seen.info.name.clone()]);
                    table.note(self.paint.bad(&format!("damaged: {error}")));
                }
            }
        }
        table
    }

    fn object(&self, seen: &Seen, view: &ObjectView, table: &mut Table) {
        let mut cells = vec![seen.info.name.clone()];
        match view {
            ObjectView::Bucket { quota, now, .. } => {
                let next = if now.allowed { "now".to_owned() } else { wait(now.retry_after_ns) };
                cells.extend([quota.to_string(), of(now.remaining.into(), now.limit.into()), next]);
            }
            ObjectView::Limiter { algorithm, quota, keys, max_keys, memory, stats } => cells.extend([
                algorithm.name().replace('_', " "),
                quota.to_string(),
                of(*keys as u64, *max_keys as u64),
                units::bytes(*memory as u64),
                units::count(stats.evictions),
                units::count(stats.overflowed),
            ]),
            ObjectView::Breaker { stats, .. } => {
                let part = |part: u32, rate: f64| match stats.calls {
                    0 => "-".to_owned(),
                    _ => format!("{} = {}", units::count(part.into()), units::percent(rate)),
                };
                let probe = match stats.state {
                    State::Open if stats.retry_after_ns == 0 => "now".to_owned(),
                    State::Open | State::ForcedOpen => wait(stats.retry_after_ns),
                    _ => "-".to_owned(),
                };
                cells.extend([
                    self.paint.state(stats.state, &stats.state.name().replace('_', " ")),
                    probe,
                    units::count(stats.calls.into()),
                    part(stats.failed, stats.failure_rate),
                    part(stats.slow, stats.slow_call_rate),
                    units::count(stats.opened),
                    units::count(stats.rejected),
                ]);
            }
            ObjectView::Concurrency { stats, .. } => {
                cells.extend([of(stats.in_use.into(), stats.limit.into()), units::count(stats.reclaimed)]);
            }
            ObjectView::RetryBudget { stats } => cells.extend([stats.balance, stats.deposited].map(units::count)),
            ObjectView::Registry { stats, rejected, open } => {
                cells.push(of(stats.breakers, stats.max_breakers));
                cells.extend([open.len() as u64, stats.evicted, stats.overflowed, *rejected].map(units::count));
            }
            ObjectView::Shedder { stats } => {
                cells.extend([units::percent(stats.pressure), units::percent(stats.shed_share)]);
            }
            ObjectView::Cluster { quota, stats, .. } => {
                let trip = u64::try_from(stats.health.round_trip.as_nanos()).unwrap_or(u64::MAX);
                let ends = if stats.tokens > 0 { units::span(stats.expires_in_ns) } else { "-".to_owned() };
                cells.extend([quota.to_string(), units::count(stats.tokens.into()), ends]);
                cells.extend([units::count(stats.health.level), units::span(trip)]);
            }
            ObjectView::Throttle { stats } => {
                cells.push(units::percent(stats.probability));
                cells.extend([stats.window_requests, stats.window_accepts, stats.forced].map(units::count));
            }
        }
        cells.extend(self.counts(seen, view));
        table.row(cells);
        self.notes(seen, view).into_iter().for_each(|note| table.note(note));
    }

    /// The last columns, as [`table`](Self::table) has them.
    fn counts(&self, seen: &Seen, view: &ObjectView) -> Vec<String> {
        let percent = |rate: Option<f64>| rate.map_or("-".to_owned(), units::percent);
        let Some(before) = self.before else {
            let (admitted, denied) = view.decided();
            return match view {
                ObjectView::Breaker { .. } | ObjectView::Registry { .. } => Vec::new(),
                _ => vec![units::count(admitted), units::count(denied), percent(rates::denial_rate(view))],
            };
        };
        let rates = Rates::of(seen, self.snapshot, before);
        let each_second = |number: fn(Rates) -> f64| rates.map_or("-".to_owned(), |rates| units::rate(number(rates)));
        let [admitted, denied] = [each_second(|rates| rates.admitted), each_second(|rates| rates.denied)];
        match view {
            ObjectView::Breaker { .. } | ObjectView::Registry { .. } => vec![denied],
            _ => vec![admitted, denied, percent(rates.and_then(Rates::denial_rate))],
        }
    }

    /// What has no column.
    fn notes(&self, seen: &Seen, view: &ObjectView) -> Vec<String> {
        let mut notes = Vec::new();
        let declared = &seen.info.declared;
        if view.in_force().is_some_and(|in_force| in_force != *declared) {
            notes.push(self.paint.warning(&format!("changed at run time: declared as {declared}")));
        }
        let would_deny = match view {
            ObjectView::Bucket { stats, .. } => stats.would_deny,
            ObjectView::Limiter { stats, .. } => stats.would_deny,
            ObjectView::Concurrency { stats, .. } => stats.would_deny,
            ObjectView::RetryBudget { stats } => stats.would_deny,
            ObjectView::Throttle { stats } => stats.would_reject,
            ObjectView::Shedder { stats } => stats.would_shed,
            ObjectView::Cluster { stats, .. } => stats.would_deny,
            ObjectView::Breaker { .. } | ObjectView::Registry { .. } => 0,
        };
        if would_deny > 0 {
            notes.push(format!("would have denied {} more, but for dry runs", units::count(would_deny)));
        }
        match view {
            ObjectView::Bucket { .. } if seen.info.shape == "1 stripe" => {}
            ObjectView::Bucket { .. } => notes.push(seen.info.shape.clone()),
            ObjectView::Limiter { stats, .. } if stats.blocked > 0 => {
                notes.push(format!("keys blocked {} times", units::count(stats.blocked)));
            }
            ObjectView::Limiter { .. } => {}
            ObjectView::Breaker { events, .. } => {
                notes.push(format!("over {}: {declared}", seen.info.shape));
                if !events.is_empty() {
                    notes.push(format!("last {}", self.events(events)));
                }
            }
            ObjectView::RetryBudget { .. } => notes.push(declared.clone()),
            ObjectView::Registry { open, .. } => {
                notes.push(format!("over {}: {declared}", seen.info.shape));
                let name = |(key, state): &(String, State)| format!("{key:?} {}", state.name().replace('_', " "));
                let names: Vec<_> = open.iter().take(OPEN).map(name).collect();
                let more = if open.len() > OPEN { ", …" } else { "" };
                if !names.is_empty() {
                    notes.push(format!("not closed: {}{more}", names.join(", ")));
                }
            }
            ObjectView::Throttle { .. } => notes.push(format!("over {}: {declared}", seen.info.shape)),
            ObjectView::Shedder { .. } => notes.push(format!("by {}: {declared}", seen.info.shape)),
            ObjectView::Cluster { member, stats, .. } => {
                let [syncs, errors, late] =
                    [stats.health.syncs, stats.health.errors, stats.health.late].map(units::count);
                notes.push(format!("member {member}: {syncs} syncs, {errors} without an answer, {late} late"));
                notes.extend(stats.health.fault.iter().map(|fault| self.paint.bad(fault)));
            }
            ObjectView::Concurrency { stats, holders } => {
                if stats.waiting > 0 || stats.timed_out > 0 || stats.cancelled > 0 {
                    let [waiting, refused, timed_out, cancelled] =
                        [stats.waiting, stats.refused, stats.timed_out, stats.cancelled].map(units::count);
                    let longest = units::span(u64::try_from(stats.longest_wait.as_nanos()).unwrap_or(u64::MAX));
                    notes.push(format!(
                        "{waiting} waiting, longest wait {longest}; {refused} refused, {timed_out} timed out, \
                         {cancelled} cancelled"
                    ));
                }
                if !holders.is_empty() {
                    notes.push(format!("held by {}", self.holders(holders)));
                }
            }
        }
        notes
    }

    fn events(&self, events: &[Event]) -> String {
        let event = |event: &Event| {
            let age = self.snapshot.taken_ns.saturating_sub(event.at_ns);
            format!("{} {} ago", event.kind.name().replace('_', " "), units::span(age))
        };
        events.iter().map(event).collect::<Vec<_>>().join(", ")
    }

    fn holders(&self, holders: &[ConcurrencyHolder]) -> String {
        let holder = |holder: &ConcurrencyHolder| {
            let who = match self.snapshot.member(holder.slot, holder.incarnation) {
                Some(member) if member.alive => format!("pid {}", member.pid),
                Some(member) => self.paint.bad(&format!("pid {}, dead", member.pid)),
                None => self.paint.bad("a dead process"),
            };
            format!("{} (slot {}, {who})", units::count(holder.permits.into()), holder.slot)
        };
        holders.iter().map(holder).collect::<Vec<_>>().join(", ")
    }

    fn processes(&self) -> Table {
        let mut table = Table::new(&[Right("SLOT"), Right("PID"), Left("STATE"), Left("FOR")]);
        let state = |member: &MemberInfo| match member.alive {
            true => self.paint.good("alive"),
            false => self.paint.bad("dead"),
        };
        for member in &self.snapshot.members {
            table.row([
                member.slot.to_string(),
                member.pid.to_string(),
                state(member),
                units::span(units::age_ns(member.since_ns)),
            ]);
        }
        table
    }
}

fn wait(ns: u64) -> String {
    if ns == NEVER { "never".to_owned() } else { units::span(ns) }
}

fn of(part: u64, whole: u64) -> String {
    format!("{} / {}", units::count(part), units::count(whole))
}
