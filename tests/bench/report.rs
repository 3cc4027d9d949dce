//! What is printed, and the arithmetic of it.
#![expect(clippy::print_stdout, reason = "benchmarks are read on the screen")]

use std::time::Duration;

/// What one run of one contestant came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Records that arrived while it was watched.
    pub(crate) records: u64,
    /// For so long.
    pub(crate) took: Duration,
    /// Processor time that its process spent meanwhile.
    pub(crate) cpu: Duration,
    /// The most memory its process ever had, KiB.
    pub(crate) peak: u64,
}

impl Run {
    /// Records a second.
    pub(crate) fn rate(&self) -> f64 {
        self.records as f64 / self.took.as_secs_f64()
    }

    /// Seconds of processor time for a million records, which is also microseconds for one.
    pub(crate) fn cpu(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.records as f64
    }
}

/// One line of text.
pub(crate) fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

/// One line of a contestant's run.
pub(crate) fn show(name: &str, run: &Run) {
    say(format_args!(
        "{name:<22} {:>9.0} records/s   {:>6.2} CPU s per million   {:>4} MiB peak",
        run.rate(),
        run.cpu(),
        run.peak / 1024,
    ));
}

/// The middle one, or the mean of the middle two.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { sorted[middle - 1].midpoint(sorted[middle]) }
}

/// The figure below which this share of the sorted ones lies.
pub(crate) fn quantile(sorted: &[u64], share: f64) -> u64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}
