//! `tidegate cluster ls`, `show` and `init`: what the store holds.

use crate::args::Command;
use std::fmt::Write;
use std::time::Duration;
use tidegate_cluster::{LimitView, MemberView};

/// How long to wait for the store: people are patient.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) fn run(command: &Command, store: &str) -> Result<(), String> {
    let text = match command {
        Command::Ls { namespace, json } => {
            let limits = look(store, namespace)?;
            if *json { json_of(&limits) } else { table(&limits) }
        }
        Command::Show { namespace, limit, json } => {
            let limits = look(store, namespace)?;
            let names: Vec<&str> = limits.iter().map(|one| one.name.as_str()).collect();
            let Some(found) = limits.iter().find(|one| one.name == *limit) else {
                let there =
                    if names.is_empty() { "nothing is".to_owned() } else { format!("there is {}", names.join(", ")) };
                return Err(format!("no limit {limit:?} in the namespace {namespace:?}; {there} in it"));
            };
            if *json {
                json_of(std::slice::from_ref(found))
            } else {
                table(std::slice::from_ref(found)) + &members(found)
            }
        }
        Command::Init { namespace } => {
            tidegate_cluster::init(store, namespace, TIMEOUT).map_err(|error| error.to_string())?;
            format!("limits of {namespace:?} begin full\n")
        }
    };
    print!("{text}");
    Ok(())
}

fn look(store: &str, namespace: &str) -> Result<Vec<LimitView>, String> {
    tidegate_cluster::look(store, namespace, TIMEOUT).map_err(|error| error.to_string())
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

fn table(limits: &[LimitView]) -> String {
    let mut text = String::from("LIMIT                 RATE            LEFT      HELD    DEMAND/S  HOSTS  QUIET FOR\n");
    for limit in limits {
        let rate = format!("{}/{} s", limit.count, seconds(limit.period_us));
        let absent = limit.members.iter().filter(|member| member.absent).count();
        let hosts = limit.members.len() - absent;
        let _ = write!(
            text,
            "{:<20}  {rate:<12}  {:>6}  {:>8}  {:>10}  {hosts:>5}  {:>7.1} s",
            limit.name,
            limit.level,
            limit.outstanding,
            limit.demand,
            seconds(limit.quiet_us)
        );
        if absent > 0 {
            let _ = write!(text, "  {absent} absent");
        }
        text += if limit.is_current { "\n" } else { "  of an epoch before\n" };
    }
    text
}

fn members(limit: &LimitView) -> String {
    let mut text = String::from("\nMEMBER                                HELD       SPENT    DEMAND/S  ENDS IN\n");
    for MemberView { id, held, spent, demand, expires_us, absent, .. } in &limit.members {
        let ends = seconds(*expires_us);
        let state = if *absent { "  absent" } else { "" };
        let _ = writeln!(text, "{id:<32}  {held:>8}  {spent:>10}  {demand:>10}  {ends:>5.2} s{state}");
    }
    text
}

/// Names are letters, digits and a few signs; the rest are numbers.
fn json_of(limits: &[LimitView]) -> String {
    let member = |member: &MemberView| {
        let MemberView { id, held, spent, demand, expires_us, absent, .. } = member;
        let ends = seconds(*expires_us);
        format!(
            "{{\"id\":{id:?},\"held\":{held},\"spent\":{spent},\"demand_per_s\":{demand},\"ends_in_s\":{ends},\
             \"absent\":{absent}}}"
        )
    };
    let one = |limit: &LimitView| {
        let members: Vec<String> = limit.members.iter().map(member).collect();
        format!(
            "{{\"name\":{:?},\"count\":{},\"period_s\":{},\"level\":{},\"outstanding\":{},\"demand_per_s\":{},\
             \"quiet_s\":{},\"current\":{},\"members\":[{}]}}",
            limit.name,
            limit.count,
            seconds(limit.period_us),
            limit.level,
            limit.outstanding,
            limit.demand,
            seconds(limit.quiet_us),
            limit.is_current,
            members.join(",")
        )
    };
    let all: Vec<String> = limits.iter().map(one).collect();
    format!("[{}]\n", all.join(","))
}
