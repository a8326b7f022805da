//! The numbers in the kernel's texts.

/// The only number of a file. `max` is infinite.
pub(super) fn number(text: &str) -> Option<f64> {
    match text.trim() {
        "max" => Some(f64::INFINITY),
        text => text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0),
    }
}

/// The number after `name` and a space, at the beginning of a line.
pub(super) fn field(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    number(line)
}

/// `cpu.max`: quota and period; how many CPUs.
pub(super) fn quota(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    ratio(number(quota)?, number(period)?)
}

pub(super) fn ratio(quota: f64, period: f64) -> Option<f64> {
    (period > 0.0 && period.is_finite() && quota > 0.0).then_some(quota / period)
}

/// `0-3,8,10-11`: how many.
pub(super) fn cpus(text: &str) -> Option<f64> {
    let mut count = 0;
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        count += last.checked_sub(first)?.checked_add(1)?.min(1 << 20);
    }
    (count > 0).then_some(count as f64)
}

/// `avg10` of the line `some` or `full`.
pub(super) fn pressure(text: &str, line: &str) -> Option<f64> {
    let rest = text.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(" avg10="))?;
    number(rest.split(' ').next()?)
}

/// `/proc/stat`: microseconds that all CPUs were busy, and how many there are. In hundredths of a second, as the kernel
/// shows them on every system.
pub(super) fn machine_cpu(text: &str) -> Option<(u64, f64)> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let times: Vec<u64> = line.split_whitespace().map_while(|it| it.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guests are in user and nice.
    let busy = times.first()?.saturating_add(*times.get(1)?).saturating_add(*times.get(2)?);
    let more = times.iter().skip(5).take(3).fold(0, |sum: u64, it| sum.saturating_add(*it));
    let cpus = text.lines().skip(1).take_while(|line| line.starts_with("cpu")).count();
    Some((busy.saturating_add(more).saturating_mul(10_000), cpus.max(1) as f64))
}

/// `/proc/meminfo`: the part that is not available.
pub(super) fn machine_memory(text: &str) -> Option<f64> {
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        number(line.trim().trim_end_matches("kB"))
    };
    let (total, available) = (of("MemTotal:")?, of("MemAvailable:")?);
    (total > 0.0).then(|| ((total - available) / total).clamp(0.0, 1.0))
}
