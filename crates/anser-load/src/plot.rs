//! The result as a picture: throughput over time above, latencies over time below.

use crate::recorder::Second;
use crate::report::Report;

const WIDTH: f64 = 900.0;
const PANEL: f64 = 220.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 50.0;
const GAP: f64 = 60.0;

/// One line of a panel.
struct Line {
    name: &'static str,
    colour: &'static str,
    values: Vec<f64>,
}

/// Draws a report as SVG.
pub(crate) fn draw(report: &Report) -> String {
    let height = TOP + 2.0 * PANEL + 2.0 * GAP;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let title = format!(
        "{} over {}: {:.0} acked/s, {:.0} delivered/s, delivery p99 {:.2} ms",
        report.scenario, report.transport, report.acked_per_second, report.delivered_per_second, report.delivery_ms.p99
    );
    text(&mut svg, LEFT, 25.0, "start", &title);
    let line = |name, colour, value: fn(&Second) -> f64| Line {
        name,
        colour,
        values: report.timeline.iter().map(value).collect(),
    };
    panel(
        &mut svg,
        TOP,
        "messages per second",
        &[
            line("sent", "#999999", |second| count(second.sent)),
            line("acked", "#1f77b4", |second| count(second.acked)),
            line("delivered", "#2ca02c", |second| count(second.delivered)),
        ],
    );
    panel(
        &mut svg,
        TOP + PANEL + GAP,
        "milliseconds",
        &[
            line("ack p50", "#9ecae1", |second| second.ack_p50_ms),
            line("ack p99", "#1f77b4", |second| second.ack_p99_ms),
            line("delivery p50", "#a1d99b", |second| second.delivery_p50_ms),
            line("delivery p99", "#2ca02c", |second| second.delivery_p99_ms),
        ],
    );
    svg.push_str("</svg>\n");
    svg
}

#[expect(clippy::cast_precision_loss, reason = "messages of one second are far below 2^52")]
const fn count(messages: u64) -> f64 {
    messages as f64
}

fn panel(svg: &mut String, top: f64, unit: &str, lines: &[Line]) {
    let (bottom, right) = (top + PANEL, WIDTH - RIGHT);
    let seconds = lines.iter().map(|line| line.values.len()).max().unwrap_or(0).max(2);
    let highest = lines.iter().flat_map(|line| &line.values).copied().fold(0.0, f64::max);
    let ceiling = round_up(highest);
    let step = (right - LEFT) / count(u64::try_from(seconds - 1).unwrap_or(1));
    for tick in 0..=4u8 {
        let share = f64::from(tick) / 4.0;
        let y = bottom - share * PANEL;
        svg.push_str(&format!("<path d=\"M{LEFT} {y:.1}H{right:.1}\" stroke=\"#dddddd\"/>\n"));
        text(svg, LEFT - 8.0, y + 4.0, "end", &label(ceiling * share));
    }
    text(svg, LEFT, top - 10.0, "start", unit);
    text(svg, right, bottom + 18.0, "end", &format!("{seconds} s"));
    for (place, line) in lines.iter().enumerate() {
        let mut path = String::new();
        for (second, value) in line.values.iter().enumerate() {
            let x = LEFT + step * count(u64::try_from(second).unwrap_or(0));
            let y = bottom - value / ceiling * PANEL;
            path.push_str(&format!("{}{x:.1} {y:.1}", if second == 0 { 'M' } else { 'L' }));
        }
        let colour = line.colour;
        svg.push_str(&format!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\n"));
        let y = top + 16.0 * count(u64::try_from(place).unwrap_or(0)) + 10.0;
        svg.push_str(&format!(
            "<path d=\"M{:.1} {:.1}h20\" stroke=\"{colour}\" stroke-width=\"3\"/>\n",
            right + 15.0,
            y - 4.0
        ));
        text(svg, right + 42.0, y, "start", line.name);
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    svg.push_str(&format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n"));
}

/// The next larger number of the form 1, 2 or 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|&round| round >= value).unwrap_or(value)
}

fn label(value: f64) -> String {
    if value >= 1000.0 {
        format!("{:.0}k", value / 1000.0)
    } else if value >= 10.0 || value == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_a_line_for_each_series_and_no_numbers_that_are_none() {
        let second = Second { sent: 10, acked: 9, delivered: 8, delivery_p99_ms: 1.5, ..Second::default() };
        let report = Report { timeline: vec![second; 5], ..Report::default() };
        let svg = draw(&report);
        assert_eq!(svg.matches("fill=\"none\"").count(), 7);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        for bad in ["NaN", "inf"] {
            assert!(!svg.contains(bad));
            assert!(!draw(&Report::default()).contains(bad));
        }
    }

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, round) in [(0.0, 1.0), (0.3, 0.5), (7.0, 10.0), (1000.0, 1000.0), (31_234.0, 50_000.0)] {
            assert!((round_up(value) - round).abs() < 1e-9, "{value}");
        }
    }
}
