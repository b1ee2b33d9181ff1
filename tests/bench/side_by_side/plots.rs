//! The figures, drawn: a line for each row, a point for each median, and a stroke from the least to the greatest.

use std::path::Path;

use anyhow::{Context as _, Result};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::results::{Results, Side};
use crate::rows::Figure;
use crate::verdict::{Line, Spread, delays, lines};
use crate::words::{name, value};

/// Which figures are worth a drawing.
const DRAWN: [(Figure, &str); 4] = [
    (Figure::Rate, "throughput"),
    (Figure::P99Us, "p99"),
    (Figure::CpuPerMillion, "processors"),
    (Figure::Resident, "memory"),
];

const WIDTH: u32 = 900;

/// For each row, and above and below all of them.
const ROW_HEIGHT: u32 = 44;
const MARGINS: u32 = 160;

/// How many rows below all others are left to what the colours mean.
const LEGEND_ROWS: f64 = 1.2;

/// For the names of the rows.
const NAMES_WIDTH: u32 = 120;

/// What can go wrong with a drawing.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Draws all of them into this folder. What each shows, and the name of its file.
pub(crate) fn draw(folder: &Path, results: &Results) -> Result<Vec<(String, String)>> {
    let mut drawings = Vec::new();
    for delay_ms in delays(results) {
        let lines = lines(results, delay_ms);
        for (figure, stem) in DRAWN {
            let of_figure: Vec<&Line> = lines.iter().filter(|line| line.figure == figure).collect();
            if of_figure.is_empty() {
                continue;
            }
            let slower =
                if delay_ms == 0.0 { String::new() } else { format!(", each sync {delay_ms} ms slower") };
            let title = format!("{}{slower}", name(figure));
            let file = format!("{stem}-{delay_ms}ms.svg");
            let path = folder.join(&file);
            one(&path, &title, figure, &of_figure)
                .map_err(|error| anyhow::anyhow!("{error}"))
                .with_context(|| format!("draw {}", path.display()))?;
            drawings.push((title, file));
        }
    }
    Ok(drawings)
}

fn one(path: &Path, title: &str, figure: Figure, lines: &[&Line]) -> Result<(), Failed> {
    let rows = u32::try_from(lines.len())?;
    let area = SVGBackend::new(path, (WIDTH, rows * ROW_HEIGHT + MARGINS)).into_drawing_area();
    area.fill(&WHITE)?;
    let spreads = || lines.iter().flat_map(|line| Side::BOTH.map(|side| line.of(side))).flatten();
    let least = spreads().map(|it| it.min).fold(f64::INFINITY, f64::min).max(1e-3);
    let greatest = spreads().map(|it| it.max).fold(least, f64::max);
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .margin_left(NAMES_WIDTH)
        .x_label_area_size(42)
        .build_cartesian_2d((least / 1.5..greatest * 2.5).log_scale(), -LEGEND_ROWS..f64::from(rows))?;
    let label = |it: &f64| value(figure, *it);
    chart.configure_mesh().disable_y_mesh().x_label_formatter(&label).draw()?;
    for (side, colour, height) in [(Side::ZooKeeper, RED, 0.65), (Side::Corral, BLUE, 0.35)] {
        let mut points = Vec::new();
        for (place, line) in (1..=rows).zip(lines) {
            let Some(spread) = line.of(side) else { continue };
            let y = f64::from(rows - place) + height;
            let from_to = vec![(spread.min.max(least), y), (spread.max.max(least), y)];
            chart.draw_series([PathElement::new(from_to, colour.stroke_width(2))])?;
            points.push((spread, y));
        }
        let small = ("sans-serif", 11).into_font().color(&colour).pos(Pos::new(HPos::Left, VPos::Center));
        let text = |(spread, y): &(Spread, f64)| {
            EmptyElement::at((spread.max.max(least), *y))
                + Text::new(value(figure, spread.median), (9, 0), small.clone())
        };
        chart.draw_series(points.iter().map(text))?;
        let point =
            |(spread, y): &(Spread, f64)| Circle::new((spread.median.max(least), *y), 4, colour.filled());
        chart
            .draw_series(points.iter().map(point))?
            .label(side.name())
            .legend(move |(x, y)| Circle::new((x + 9, y), 4, colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .border_style(BLACK)
        .background_style(WHITE)
        .draw()?;
    names(&area, lines, |place| chart.backend_coord(&(greatest, f64::from(rows - place) - 0.5)).1)?;
    area.present()?;
    Ok(())
}

/// Writes the names of the rows beside them.
fn names(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    lines: &[&Line],
    height: impl Fn(u32) -> i32,
) -> Result<(), Failed> {
    let style = ("sans-serif", 12).into_font().color(&BLACK).pos(Pos::new(HPos::Right, VPos::Center));
    for (place, line) in (0..).zip(lines) {
        area.draw(&Text::new(line.row.id, (i32::try_from(NAMES_WIDTH)? - 8, height(place)), style.clone()))?;
    }
    Ok(())
}
