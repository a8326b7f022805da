//! A picture for people.

use crate::pace::{self, Pace};
use crate::paint::Paint;
use crate::picture::{Face, Picture, Seen};
use crate::table::Column::{Left, Right};
use crate::table::{Column, Table};
use crate::units;
use std::io::{self, Write};
use tidegate::arena::{LAYOUT_VERSION as LAYOUT, MOST_OBJECTS};
use tidegate::arena::{MemberInfo, ObjectKind};
use tidegate::breaker::{Event, State};
use tidegate::concurrency::ConcurrencyHolder;
use tidegate::decision::NEVER;

/// `before`: the last one, for what happened since.
pub(crate) fn picture(
    picture: &Picture,
    before: Option<&Picture>,
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    head(picture, paint, out)?;
    let writer = Writer { picture, before, paint };
    for kind in
        [ObjectKind::TokenBucket, ObjectKind::RateLimiter, ObjectKind::CircuitBreaker, ObjectKind::ConcurrencyLimiter]
    {
        let mut seen = picture.objects.iter().filter(|seen| seen.info.kind == kind).peekable();
        if seen.peek().is_some() {
            writeln!(out)?;
            writer.table(kind, seen).write(out)?;
        }
    }
    writeln!(out)?;
    writer.processes().write(out)
}

fn head(picture: &Picture, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}  {}", paint.bold(&picture.arena), picture.path.display())?;
    writeln!(
        out,
        "layout {LAYOUT}, made {}, {} of {} used, {} of {MOST_OBJECTS} names taken, {} alive",
        units::ago(picture.created_ns),
        units::bytes(picture.used),
        units::bytes(picture.bytes),
        picture.names,
        match picture.alive() {
            1 => "1 process".to_owned(),
            more => format!("{more} processes"),
        }
    )
}

struct Writer<'a> {
    picture: &'a Picture,
    before: Option<&'a Picture>,
    paint: Paint,
}

impl Writer<'_> {
    /// The objects of one kind.
    fn table<'s>(&self, kind: ObjectKind, objects: impl Iterator<Item = &'s Seen>) -> Table {
        let counts: &[Column] = match (kind, self.before) {
            (ObjectKind::CircuitBreaker, None) => &[],
            (ObjectKind::CircuitBreaker, Some(_)) => &[Right("REJECTED/S")],
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
            _ => &[Left("OTHER")],
        };
        let mut table = Table::new(&[own, counts].concat());
        for seen in objects {
            match &seen.face {
                Ok(face) => self.object(seen, face, &mut table),
                Err(error) => {
                    table.row([seen.info.name.clone()]);
                    table.note(self.paint.bad(&format!("damaged: {error}")));
                }
            }
        }
        table
    }

    fn object(&self, seen: &Seen, face: &Face, table: &mut Table) {
        let mut cells = vec![seen.info.name.clone()];
        match face {
            Face::Bucket { quota, now, .. } => {
                let next = if now.allowed { "now".to_owned() } else { wait(now.retry_after_ns) };
                cells.extend([quota.to_string(), of(now.remaining.into(), now.limit.into()), next]);
            }
            Face::Limiter { algorithm, quota, keys, max_keys, memory, stats } => cells.extend([
                algorithm.name().replace('_', " "),
                quota.to_string(),
                of(*keys as u64, *max_keys as u64),
                units::bytes(*memory as u64),
                units::count(stats.evictions),
                units::count(stats.overflowed),
            ]),
            Face::Breaker { stats, .. } => {
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
            Face::Concurrency { stats, .. } => {
                cells.extend([of(stats.in_use.into(), stats.limit.into()), units::count(stats.reclaimed)]);
            }
        }
        cells.extend(self.counts(seen, face));
        table.row(cells);
        self.notes(seen, face).into_iter().for_each(|note| table.note(note));
    }

    /// The last columns, as [`table`](Self::table) has them.
    fn counts(&self, seen: &Seen, face: &Face) -> Vec<String> {
        let percent = |rate: Option<f64>| rate.map_or("-".to_owned(), units::percent);
        let Some(before) = self.before else {
            let (admitted, denied) = face.decided();
            return match face {
                Face::Breaker { .. } => Vec::new(),
                _ => vec![units::count(admitted), units::count(denied), percent(pace::denial_rate(face))],
            };
        };
        let pace = Pace::of(seen, self.picture, before);
        let each_second = |number: fn(Pace) -> f64| pace.map_or("-".to_owned(), |pace| units::rate(number(pace)));
        let [admitted, denied] = [each_second(|pace| pace.admitted), each_second(|pace| pace.denied)];
        match face {
            Face::Breaker { .. } => vec![denied],
            _ => vec![admitted, denied, percent(pace.and_then(Pace::denial_rate))],
        }
    }

    /// What has no column.
    fn notes(&self, seen: &Seen, face: &Face) -> Vec<String> {
        let mut notes = Vec::new();
        let declared = &seen.info.declared;
        if face.in_force().is_some_and(|in_force| in_force != *declared) {
            notes.push(self.paint.warning(&format!("changed at run time: declared as {declared}")));
        }
        let would_deny = match face {
            Face::Bucket { stats, .. } => stats.would_deny,
            Face::Limiter { stats, .. } => stats.would_deny,
            Face::Concurrency { stats, .. } => stats.would_deny,
            Face::Breaker { .. } => 0,
        };
        if would_deny > 0 {
            notes.push(format!("would have denied {} more, but for dry runs", units::count(would_deny)));
        }
        match face {
            Face::Bucket { .. } if seen.info.shape == "1 stripe" => {}
            Face::Bucket { .. } => notes.push(seen.info.shape.clone()),
            Face::Limiter { stats, .. } if stats.blocked > 0 => {
                notes.push(format!("keys blocked {} times", units::count(stats.blocked)));
            }
            Face::Limiter { .. } => {}
            Face::Breaker { events, .. } => {
                notes.push(format!("over {}: {declared}", seen.info.shape));
                if !events.is_empty() {
                    notes.push(format!("last {}", self.events(events)));
                }
            }
            Face::Concurrency { stats, holders } => {
                if stats.waiting > 0 || stats.timed_out > 0 || stats.cancelled > 0 {
                    let [waiting, refused, timed_out, cancelled] =
                        [stats.waiting, stats.refused, stats.timed_out, stats.cancelled].map(units::count);
                    let longest = units::span(u64::try_from(stats.longest_wait.as_nanos()).unwrap_or(u64::MAX));
                    notes.push(format!(
                        "{waiting} waiting, longest wait {longest}; {refused} refused, {timed_out} timed out, {cancelled} cancelled"
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
            let age = self.picture.taken_ns.saturating_sub(event.at_ns);
            format!("{} {} ago", event.kind.name().replace('_', " "), units::span(age))
        };
        events.iter().map(event).collect::<Vec<_>>().join(", ")
    }

    fn holders(&self, holders: &[ConcurrencyHolder]) -> String {
        let holder = |holder: &ConcurrencyHolder| {
            let who = match self.picture.member(holder.slot, holder.incarnation) {
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
        for member in &self.picture.members {
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
