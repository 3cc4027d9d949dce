//! `Metrics`: a task's figures, as plain atomics that the host reads when it is asked.
//!
//! No metrics library here: a connector, linked in or loaded, only adds to numbers, and the host alone decides how they
//! are shown. [`names`] lists them all.

pub mod names;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use names::Name;

/// The figures of one task, by name. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Figures>);

#[derive(Debug, Default)]
struct Figures {
    own: Mutex<BTreeMap<&'static str, Figure>>,
    dead_letters: OnceLock<Metrics>,
}

/// One figure with its help text.
#[derive(Clone, Debug)]
pub struct Figure {
    /// One sentence for the reader of a dashboard.
    pub help: &'static str,
    /// The number behind it.
    pub kind: FigureKind,
}

/// What kind of number it is.
#[derive(Clone, Debug)]
pub enum FigureKind {
    /// Only grows.
    Counter(Counter),
    /// Goes up and down.
    Gauge(Gauge),
    /// A distribution of seconds.
    Seconds(Seconds),
}

impl Metrics {
    /// The counter of this name, made at its first mention.
    pub fn counter(&self, name: Name) -> Counter {
        match self.figure(name, || FigureKind::Counter(Counter::default())) {
            FigureKind::Counter(counter) => counter,
            _ => Counter::default(),
        }
    }

    /// The gauge of this name, made at its first mention.
    pub fn gauge(&self, name: Name) -> Gauge {
        match self.figure(name, || FigureKind::Gauge(Gauge::default())) {
            FigureKind::Gauge(gauge) => gauge,
            _ => Gauge::default(),
        }
    }

    /// The distribution of this name, made at its first mention.
    pub fn seconds(&self, name: Name) -> Seconds {
        match self.figure(name, || FigureKind::Seconds(Seconds::default())) {
            FigureKind::Seconds(seconds) => seconds,
            _ => Seconds::default(),
        }
    }

    /// The figures of the task's dead-letter sink: they have the names of the sink's own, and are shown apart from them.
    pub fn dead_letters(&self) -> &Self {
        self.0.dead_letters.get_or_init(Self::default)
    }

    /// Every figure of the task, by name, but those of its dead-letter sink.
    pub fn figures(&self) -> BTreeMap<&'static str, Figure> {
        self.0.own.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn figure(&self, (name, help): Name, make: fn() -> FigureKind) -> FigureKind {
        let mut figures = self.0.own.lock().unwrap_or_else(PoisonError::into_inner);
        figures.entry(name).or_insert_with(|| Figure { help, kind: make() }).kind.clone()
    }
}

/// A number that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The sum so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down, or the seconds since something happened.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<GaugeValue>);

#[derive(Debug, Default)]
struct GaugeValue {
    bits: AtomicU64,
    /// Where the gauge counts from, by [`monotonic`]; 0 where it shows its bits.
    since: AtomicU64,
}

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, value: f64) {
        self.0.bits.store(value.to_bits(), Ordering::Relaxed);
        self.0.since.store(0, Ordering::Relaxed);
    }

    /// Shows the seconds from now on until somebody asks, so that an age is true although nobody works on it.
    pub fn count_from_now(&self) {
        self.count_from(0.0);
    }

    /// The same, beginning with so many seconds.
    pub fn count_from(&self, seconds: f64) {
        let since = monotonic().saturating_sub((seconds.max(0.0) * 1e6) as u64).max(1);
        self.0.since.store(since, Ordering::Relaxed);
    }

    /// The last value set, or the seconds counted.
    pub fn get(&self) -> f64 {
        match self.0.since.load(Ordering::Relaxed) {
            0 => f64::from_bits(self.0.bits.load(Ordering::Relaxed)),
            since => monotonic().saturating_sub(since) as f64 / 1e6,
        }
    }
}

/// Microseconds on a clock that nobody sets: an age must not jump with the machine's time. It began long ago, so that
/// ages from before this process fit.
#[expect(clippy::disallowed_methods, reason = "figures are read outside of any runtime, too")]
fn monotonic() -> u64 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let long_ago = Duration::from_secs(100 * 365 * 86_400);
    u64::try_from((long_ago + BEGIN.elapsed()).as_micros()).unwrap_or(u64::MAX)
}

/// A distribution of seconds over [`Seconds::BOUNDS`].
#[derive(Clone, Debug, Default)]
pub struct Seconds(Arc<Distribution>);

#[derive(Debug, Default)]
struct Distribution {
    buckets: [AtomicU64; Seconds::BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Seconds {
    /// Upper bounds of the buckets, in seconds; a last bucket takes the rest.
    pub const BOUNDS: [f64; 14] =
        [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 120.0];

    /// Counts `n` observations of the same length.
    pub fn observe(&self, length: std::time::Duration, n: u64) {
        let seconds = length.as_secs_f64();
        let bucket = Self::BOUNDS.partition_point(|bound| *bound < seconds);
        self.0.buckets[bucket].fetch_add(n, Ordering::Relaxed);
        let micros = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        self.0.micros.fetch_add(micros.saturating_mul(n), Ordering::Relaxed);
    }

    /// Counts per bucket, not summed up, the last one above every bound; and the sum in seconds.
    pub fn get(&self) -> (Vec<u64>, f64) {
        let buckets = self.0.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        (buckets, self.0.micros.load(Ordering::Relaxed) as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::{FigureKind, Metrics};
    use std::time::Duration;

    #[test]
    fn a_figure_is_made_once_and_shared() {
        let metrics = Metrics::default();
        metrics.counter(("late_rows_total", "Rows that came late.")).add(2);
        metrics.clone().counter(("late_rows_total", "Rows that came late.")).add(3);
        assert_eq!(metrics.counter(("late_rows_total", "")).get(), 5);
        let seconds = metrics.seconds(("late_seconds", "How late."));
        seconds.observe(Duration::from_millis(1), 1);
        seconds.observe(Duration::from_secs(300), 2);
        let (buckets, sum) = seconds.get();
        assert_eq!((buckets[0], buckets[14], sum), (1, 2, 600.001));
        metrics.dead_letters().counter(("late_rows_total", "Rows that came late.")).add(1);
        assert_eq!(metrics.figures().len(), 2);
        let apart = &metrics.clone().dead_letters().figures()["late_rows_total"].kind;
        assert!(matches!(apart, FigureKind::Counter(counter) if counter.get() == 1), "{apart:?}");
    }
}
