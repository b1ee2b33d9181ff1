//! What was measured, drawn.

use std::path::Path;

use hdrhistogram::Histogram;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::record::{Record, SLICE};
use super::table::Row;

const SIZE: (u32, u32) = (900, 500);

/// What can go wrong with a drawing.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Draws the latencies of each kind: how many of a thousand requests took longer than that.
pub(super) fn latencies(path: &Path, record: &Record) -> Result<(), Failed> {
    let all: Vec<(&str, &Histogram<u64>)> = record.latencies().map(|(kind, it)| (kind.name(), it)).collect();
    let longest = all.iter().map(|(_, it)| it.max()).max().unwrap_or(1) as f64 / 1e3;
    let shortest = all.iter().map(|(_, it)| it.min()).min().unwrap_or(1).max(1) as f64 / 1e3;
    let area = area(path)?;
    let mut chart = builder(&area, "Latency")
        .build_cartesian_2d((shortest..longest * 1.1).log_scale(), (1e-5..1.0).log_scale())?;
    chart.configure_mesh().x_desc("µs").y_desc("share of requests that took longer").draw()?;
    for (place, (name, it)) in all.into_iter().enumerate() {
        let points = it.iter_recorded().map(|step| {
            let longer = 1.0 - step.quantile_iterated_to();
            (step.value_iterated_to() as f64 / 1e3, longer.max(1e-5))
        });
        let style = Palette99::pick(place).stroke_width(2);
        chart
            .draw_series(LineSeries::new(points, style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart.configure_series_labels().border_style(BLACK).background_style(WHITE).draw()?;
    area.present()?;
    Ok(())
}

/// Draws how many answers came, over time.
pub(super) fn throughput(path: &Path, record: &Record) -> Result<(), Failed> {
    let each = SLICE.as_secs_f64();
    let points: Vec<(f64, f64)> = (0..)
        .map(|slice| f64::from(slice) * each)
        .zip(record.slices().iter().map(|count| *count as f64 / each))
        .collect();
    line(path, "Throughput", ("s", "answers/s"), &points)
}

/// Draws how many answers came, over the number of clients.
pub(super) fn ladder(path: &Path, rows: &[Row]) -> Result<(), Failed> {
    let points: Vec<(f64, f64)> = rows
        .iter()
        .filter(|row| row.kind == "all")
        .map(|row| (f64::from(row.connections), row.rate))
        .collect();
    line(path, "Throughput by clients", ("clients", "answers/s"), &points)
}

fn line(path: &Path, title: &str, axes: (&str, &str), points: &[(f64, f64)]) -> Result<(), Failed> {
    let right = points.last().map_or(1.0, |(x, _)| *x).max(1e-3);
    let top = points.iter().map(|(_, y)| *y).fold(1.0, f64::max);
    let area = area(path)?;
    let mut chart = builder(&area, title).build_cartesian_2d(0.0..right, 0.0..top * 1.1)?;
    chart.configure_mesh().x_desc(axes.0).y_desc(axes.1).draw()?;
    chart.draw_series(LineSeries::new(points.iter().copied(), Palette99::pick(0).stroke_width(2)))?;
    area.present()?;
    Ok(())
}

fn area(path: &Path) -> Result<DrawingArea<SVGBackend<'_>, Shift>, Failed> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    Ok(area)
}

fn builder<'a, 'b>(
    area: &'a DrawingArea<SVGBackend<'b>, Shift>,
    title: &str,
) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(area);
    builder.caption(title, ("sans-serif", 20)).margin(12).x_label_area_size(42).y_label_area_size(78);
    builder
}
