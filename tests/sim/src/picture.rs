//! Limit, calls in flight and latency over time, as SVG.

use crate::scenarios::{fewer_workers, slower};
use crate::server::{Guard, Report, Scenario, run};
use std::fmt::Write;

const WIDTH: f64 = 860.0;
const PANEL: f64 = 190.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 60.0;

/// The whole picture, of what stands before so many workers.
pub(crate) fn draw(guard: fn(u32) -> Guard) -> String {
    let overload = Scenario::new(120.0, 8, |t| if (30.0..90.0).contains(&t) { 800.0 } else { 320.0 });
    let panels = [
        ("8 workers of 20 ms, twice their load from 30 s to 90 s", 8, overload),
        ("4 workers, of which 3 are gone from 60 s to 120 s", 4, fewer_workers()),
        ("every call takes 40 ms more from 60 s on, and holds no worker for it", 8, slower()),
    ];
    let height = 40.0 + panels.len() as f64 * (PANEL + 60.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    let legend = [("#1f77b4", "limit"), ("#999999", "in flight"), ("#d62728", "median latency, ms")];
    for (i, (color, text)) in legend.into_iter().enumerate() {
        let x = LEFT + 160.0 * i as f64;
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"22\" fill=\"{color}\">— {text}</text>");
    }
    for (i, (title, workers, scenario)) in panels.iter().enumerate() {
        panel(&mut svg, 60.0 + i as f64 * (PANEL + 60.0), title, &run(guard(*workers), scenario, 21));
    }
    svg + "</svg>\n"
}

fn panel(svg: &mut String, top: f64, title: &str, report: &Report) {
    let seconds = report.course.len() as f64;
    let most = report.course.iter().map(|at| f64::from(at.0.max(at.1))).fold(1.0, f64::max);
    let slowest = report.course.iter().map(|at| at.2 * 1e3).fold(1.0, f64::max);
    let x = |second: f64| LEFT + second / seconds * (WIDTH - LEFT - RIGHT);
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{title}</text>", top - 8.0);
    for share in [0.0, 0.5, 1.0] {
        let y = top + PANEL * (1.0 - share);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y}H{}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{:.0}</text>\
             <text x=\"{}\" y=\"{}\" fill=\"#d62728\">{:.0}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0,
            most * share,
            WIDTH - RIGHT + 8.0,
            y + 4.0,
            slowest * share
        );
    }
    for second in (0..=report.course.len()).step_by(20) {
        let (at, y) = (x(second as f64), top + PANEL + 16.0);
        let _ = writeln!(svg, "<text x=\"{at:.0}\" y=\"{y}\" text-anchor=\"middle\">{second} s</text>");
    }
    let mut line = |color: &str, value: &dyn Fn(&(u32, u32, f64)) -> f64| {
        let point = |(second, at)| format!("{:.1},{:.1}", x(second as f64 + 1.0), top + PANEL * (1.0 - value(at)));
        let points: Vec<_> = report.course.iter().enumerate().map(point).collect();
        let _ = writeln!(svg, "<polyline fill=\"none\" stroke=\"{color}\" points=\"{}\"/>", points.join(" "));
    };
    line("#999999", &|at| f64::from(at.1) / most);
    line("#d62728", &|at| at.2 * 1e3 / slowest);
    line("#1f77b4", &|at| f64::from(at.0) / most);
}
