//! What figures are called, and how their values are written.

use crate::rows::Figure;
use crate::verdict::Spread;

/// What a figure is called.
pub(crate) fn name(figure: Figure) -> &'static str {
    match figure {
        Figure::Rate => "per second",
        Figure::P50Us => "p50",
        Figure::P99Us => "p99",
        Figure::CpuPerMillion => "processor time for a million",
        Figure::Cpus => "processors kept busy",
        Figure::LoadCpus => "processors that the load keeps busy",
        Figure::Resident => "resident, largest member",
        Figure::ResidentPerZnode => "resident for each znode",
        Figure::RestartMs => "restart of a member",
        Figure::RateKept => "share of the throughput that is kept",
        Figure::P99Times => "p99, times that without",
    }
}

/// A number with its unit.
pub(crate) fn value(figure: Figure, value: f64) -> String {
    match figure {
        Figure::Rate => thousands(value),
        Figure::P50Us | Figure::P99Us if value < 1e3 => format!("{value:.0} µs"),
        Figure::P50Us | Figure::P99Us => format!("{:.2} ms", value / 1e3),
        Figure::CpuPerMillion => format!("{value:.2} s"),
        Figure::Cpus | Figure::LoadCpus => format!("{value:.2}"),
        Figure::Resident => mebibytes(value),
        Figure::ResidentPerZnode => format!("{value:.0} bytes"),
        Figure::RestartMs => format!("{value:.0} ms"),
        Figure::RateKept => format!("{:.0} %", value * 100.0),
        Figure::P99Times => format!("{value:.2}"),
    }
}

/// The median, and between what the values lie if there are several.
pub(crate) fn spread(figure: Figure, Spread { median, min, max }: Spread) -> String {
    let [median, min, max] = [median, min, max].map(|it| value(figure, it));
    if min == max { median } else { format!("{median} ({min}..{max})") }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn mebibytes(bytes: f64) -> String {
    format!("{} MiB", thousands(bytes / f64::from(1 << 20)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        assert_eq!(value(Figure::Rate, 1_234_567.4), "1,234,567");
        assert_eq!(value(Figure::Rate, 999.0), "999");
        assert_eq!(value(Figure::P99Us, 999.4), "999 µs");
        assert_eq!(value(Figure::P99Us, 12_345.0), "12.35 ms");
        assert_eq!(value(Figure::RateKept, 0.8), "80 %");
    }

    #[test]
    fn a_spread_is_told_where_there_is_one() {
        let told = |median, min, max| spread(Figure::Rate, Spread { median, min, max });
        assert_eq!(told(5.0, 4.0, 1_000.0), "5 (4..1,000)");
        assert_eq!(told(5.0, 5.0, 5.0), "5");
    }
}
