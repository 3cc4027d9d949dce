//! `Exposition`: the figures of every task on the board, and of the process, in Prometheus' text format.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use weir_sdk::TaskId;
use weir_sdk::metrics::{Figure, FigureKind, Seconds, names};

use super::process::Process;
use crate::state::Board;

/// Reads the figures when it is asked; nothing is registered or kept.
#[derive(Clone, Debug)]
pub struct Exposition {
    board: Board,
    process: Process,
}

impl Exposition {
    /// The media type of [`text`](Self::text).
    pub const MEDIA_TYPE: &str = prometheus::TEXT_FORMAT;

    /// Of the tasks on `board`, and of this process, which counts as started now.
    pub fn new(board: Board) -> Self {
        Self { board, process: Process::started_now() }
    }

    /// Every figure, by name, then by task.
    ///
    /// # Errors
    /// When a figure cannot be written in the format, such as one with an empty name.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut families = BTreeMap::new();
        for (task, status) in self.board.tasks() {
            for (name, figure) in status.metrics.figures() {
                add(&mut families, &task, shown_name, (name, &figure));
            }
            for (name, figure) in status.metrics.dead_letters().figures() {
                add(&mut families, &task, dead_letter_name, (name, &figure));
            }
        }
        for family in self.process.families() {
            families.insert(family.name().to_owned(), family);
        }
        TextEncoder::new().encode_to_string(&families.into_values().collect::<Vec<_>>())
    }
}

fn add(
    families: &mut BTreeMap<String, MetricFamily>,
    task: &TaskId,
    shown_name: fn(&str) -> String,
    (name, figure): (&str, &Figure),
) {
    let (kind, mut metric) = measured(&figure.kind);
    let (name, own) = split(name);
    let mut labels = vec![label("pipeline", &task.pipeline), label("sink", &task.sink)];
    labels.extend(own);
    metric.set_label(labels);
    match families.entry(shown_name(name)) {
        Entry::Vacant(place) => {
            let family = family(place.key(), figure.help, kind, metric);
            place.insert(family);
        }
        Entry::Occupied(mut place) if place.get().get_field_type() == kind => {
            place.get_mut().mut_metric().push(metric);
        }
        // Two connectors use one name for two kinds of number: a page with both is refused whole by its reader.
        Entry::Occupied(_) => {
            tracing::debug!(%task, name, "a figure is not shown: another of its name is of another kind");
        }
    }
}

/// A name and the labels of its own that it ends with, as in `name{from="a",to="b"}`.
fn split(name: &str) -> (&str, impl Iterator<Item = LabelPair>) {
    let (name, labels) = name.split_once('{').unwrap_or((name, ""));
    let labels = labels.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('='));
    (name, labels.map(|(name, value)| label(name, value.trim_matches('"'))))
}

/// The name on dashboards.
fn shown_name(name: &str) -> String {
    if names::UNPREFIXED.contains(&name) { name.to_owned() } else { format!("weir_{name}") }
}

/// The name on dashboards of what a dead-letter sink counts.
fn dead_letter_name(name: &str) -> String {
    format!("weir_dead_letter_{name}")
}

fn measured(kind: &FigureKind) -> (MetricType, Metric) {
    match kind {
        FigureKind::Counter(counter) => {
            let mut value = Counter::default();
            value.set_value(counter.get() as f64);
            let mut metric = Metric::default();
            metric.set_counter(value);
            (MetricType::COUNTER, metric)
        }
        FigureKind::Gauge(gauge) => {
            let mut value = Gauge::default();
            value.set_value(gauge.get());
            (MetricType::GAUGE, Metric::from_gauge(value))
        }
        FigureKind::Seconds(seconds) => {
            let mut metric = Metric::default();
            metric.set_histogram(histogram(seconds));
            (MetricType::HISTOGRAM, metric)
        }
    }
}

fn histogram(seconds: &Seconds) -> Histogram {
    let (counts, sum) = seconds.get();
    let mut total = 0;
    let mut buckets = Vec::with_capacity(Seconds::BOUNDS.len());
    for (bound, count) in Seconds::BOUNDS.iter().zip(&counts) {
        total += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(total);
        buckets.push(bucket);
    }
    let mut histogram = Histogram::default();
    histogram.set_sample_count(counts.iter().sum());
    histogram.set_sample_sum(sum);
    histogram.set_bucket(buckets);
    histogram
}

/// A family with its first metric.
pub(super) fn family(name: &str, help: &str, kind: MetricType, metric: Metric) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(vec![metric]);
    family
}

pub(super) fn label(name: &str, value: &str) -> LabelPair {
    let mut label = LabelPair::default();
    label.set_name(name.to_owned());
    label.set_value(value.to_owned());
    label
}

#[cfg(test)]
mod tests {
    use super::Exposition;
    use crate::state::Board;
    use std::time::Duration;
    use weir_sdk::TaskId;
    use weir_sdk::metrics::{Metrics, names};

    fn task(sink: &str) -> TaskId {
        TaskId { pipeline: "orders".to_owned(), sink: sink.to_owned() }
    }

    /// The figures of tasks, without those of the process, which differ each time.
    fn tasks_of(board: &Board) -> String {
        let text = Exposition::new(board.clone()).text().unwrap();
        let own = |line: &&str| !line.contains("process_") && !line.contains("weir_build_info");
        text.lines().filter(own).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn every_task_has_its_line_under_one_name() {
        let board = Board::default();
        for (sink, read) in [("topic", 7), ("ta\"ble\n", 2)] {
            let metrics = Metrics::default();
            board.enter(task(sink), metrics.clone()).running();
            metrics.counter(names::CDC_EVENTS_PROCESSED).add(read);
        }
        expect_test::expect![[r#"
            # HELP cdc_events_processed_total Events read from the CDC log and handed to the task.
            # TYPE cdc_events_processed_total counter
            cdc_events_processed_total{pipeline="orders",sink="ta\"ble\n"} 2
            cdc_events_processed_total{pipeline="orders",sink="topic"} 7
            # HELP weir_task_parked_seconds How long the task has been PARKED now; 0 when it is not.
            # TYPE weir_task_parked_seconds gauge
            weir_task_parked_seconds{pipeline="orders",sink="ta\"ble\n"} 0
            weir_task_parked_seconds{pipeline="orders",sink="topic"} 0
            # HELP weir_task_state 0 RUNNING, 1 DEGRADED, 2 PARKED, 3 PAUSED, 4 RESTARTING, 5 FAILED, 6 GAP, 7 STOPPED.
            # TYPE weir_task_state gauge
            weir_task_state{pipeline="orders",sink="ta\"ble\n"} 0
            weir_task_state{pipeline="orders",sink="topic"} 0
        "#]]
        .assert_eq(&tasks_of(&board));
    }

    #[test]
    fn a_distribution_is_shown_with_sums_from_below() {
        let (board, metrics) = (Board::default(), Metrics::default());
        board.enter(task("topic"), metrics.clone());
        let seconds = metrics.seconds(names::END_TO_END);
        seconds.observe(Duration::from_millis(1), 3);
        seconds.observe(Duration::from_millis(200), 2);
        seconds.observe(Duration::from_secs(500), 1);
        let text = tasks_of(&board);
        let line = |name: &str| {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("weir_end_to_end_seconds{name}")))
                .unwrap();
            line.rsplit(' ').next().unwrap().to_owned()
        };
        let labels = r#"pipeline="orders",sink="topic""#;
        let bucket = |bound: &str| line(&format!(r#"_bucket{{{labels},le="{bound}"}}"#));
        assert_eq!(["0.001", "0.1", "0.25", "120", "+Inf"].map(bucket), ["3", "3", "5", "5", "6"]);
        assert_eq!((line("_count").as_str(), line("_sum").as_str()), ("6", "500.403"));
    }

    #[test]
    fn labels_of_its_own_come_after_those_of_the_task() {
        let (board, metrics) = (Board::default(), Metrics::default());
        board.enter(task("topic"), metrics.clone());
        metrics.counter(names::CIRCUIT_BREAKER_OPENED).add(2);
        metrics.counter(names::CIRCUIT_BREAKER_CLOSED).add(1);
        let text = tasks_of(&board);
        let wanted = "# TYPE weir_circuit_breaker_transitions_total counter\n\
            weir_circuit_breaker_transitions_total{pipeline=\"orders\",sink=\"topic\",from=\"closed\",to=\"open\"} 2\n\
            weir_circuit_breaker_transitions_total{pipeline=\"orders\",sink=\"topic\",from=\"half_open\",to=\"closed\"} 1\n";
        assert!(text.contains(wanted), "{text}");
    }

    #[test]
    fn the_figures_of_a_dead_letter_sink_are_shown_apart() {
        let (board, metrics) = (Board::default(), Metrics::default());
        board.enter(task("topic"), metrics.clone());
        metrics.counter(names::RETRY_ATTEMPTS).add(7);
        metrics.dead_letters().counter(names::RETRY_ATTEMPTS).add(2);
        let text = tasks_of(&board);
        for wanted in ["\nretry_attempts_total{", "\nweir_dead_letter_retry_attempts_total{"] {
            assert_eq!(text.matches(wanted).count(), 1, "{wanted} in {text}");
        }
        let line = r#"weir_dead_letter_retry_attempts_total{pipeline="orders",sink="topic"} 2"#;
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn one_name_for_two_kinds_does_not_spoil_the_page() {
        let board = Board::default();
        let (one, other) = (Metrics::default(), Metrics::default());
        board.enter(task("a"), one.clone());
        board.enter(task("b"), other.clone());
        one.counter(("requests", "Requests.")).add(3);
        other.gauge(("requests", "Requests.")).set(4.0);
        let text = tasks_of(&board);
        assert!(text.contains(r#"weir_requests{pipeline="orders",sink="a"} 3"#), "{text}");
        assert_eq!(text.matches("weir_requests{").count(), 1, "{text}");
    }
}
