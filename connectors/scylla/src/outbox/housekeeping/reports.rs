//! Rows that a consumer has not passed, told to the operator for as long as it is so.

use std::collections::BTreeMap;
use std::fmt::Display;

use weir_sdk::metrics::{Gauge, Metrics, names};
use weir_sdk::{Conditions, Degraded};

use super::verdict::Unpassed;
use crate::reader::tally::{Minute, Tally, minute, seconds};
use crate::reader::time::Bucket;

/// What was found, by minute.
pub struct Reports {
    consumers: Vec<String>,
    found: BTreeMap<Minute, Report>,
    figure: Gauge,
    conditions: Conditions,
    /// Held while anything is unpassed.
    degraded: Option<Degraded>,
}

struct Report {
    /// What consumers had told by then.
    told: Vec<Tally>,
    unpassed: Vec<Unpassed>,
}

impl Reports {
    /// Reports of these consumers, told by these figures and conditions.
    pub fn new(consumers: Vec<String>, metrics: &Metrics, conditions: Conditions) -> Self {
        let figure = metrics.gauge(names::CDC_UNPASSED_ROWS);
        Self { consumers, found: BTreeMap::new(), figure, conditions, degraded: None }
    }

    /// Was this minute judged by what consumers still say?
    pub fn knows(&self, minute: Minute, told: &[Tally]) -> bool {
        self.found.get(&minute).is_some_and(|report| report.told == told)
    }

    /// This was found of a minute; whether anything is unpassed.
    pub fn set(&mut self, minute: Minute, told: Vec<Tally>, unpassed: Vec<Unpassed>) -> bool {
        let is_unpassed = !unpassed.is_empty();
        let before = self.found.remove(&minute);
        if before.as_ref().is_none_or(|before| before.unpassed != unpassed) {
            self.warn(&unpassed);
        }
        if is_unpassed {
            self.found.insert(minute, Report { told, unpassed });
        }
        if is_unpassed || before.is_some() {
            self.tell();
        }
        is_unpassed
    }

    /// The log has forgotten a minute.
    pub fn forget(&mut self, minute: Minute) {
        if let Some(report) = self.found.remove(&minute) {
            for (consumer, rows, first) in self.by_consumer(&report.unpassed) {
                tracing::warn!(
                    consumer, rows, written = %time(first.second),
                    "rows of the outbox were not passed before the log forgot them; the table still holds them"
                );
            }
            self.tell();
        }
    }

    fn warn(&self, unpassed: &[Unpassed]) {
        for (consumer, rows, first) in self.by_consumer(unpassed) {
            let position = first.row.map(|row| row.to_string()).unwrap_or_default();
            tracing::warn!(
                consumer, rows, written = %time(first.second), position,
                "rows of the outbox were not passed: they became readable later than `safety`, or were skipped; \
                 they are not deleted"
            );
        }
    }

    /// Of each consumer how many rows it has not passed, and the first of them.
    fn by_consumer<'a>(
        &'a self,
        unpassed: &'a [Unpassed],
    ) -> impl Iterator<Item = (&'a str, u64, &'a Unpassed)> {
        self.consumers.iter().enumerate().filter_map(|(index, consumer)| {
            let mut of = unpassed.iter().filter(|unpassed| unpassed.consumer == index).peekable();
            let first = *of.peek()?;
            Some((consumer.as_str(), of.map(|unpassed| unpassed.rows).sum(), first))
        })
    }

    fn tell(&mut self) {
        let all: Vec<_> = self.found.values().flat_map(|report| report.unpassed.iter().cloned()).collect();
        let mut rows: BTreeMap<Bucket, u64> = BTreeMap::new();
        for unpassed in &all {
            let most = rows.entry(unpassed.second).or_default();
            *most = unpassed.rows.max(*most);
        }
        self.figure.set(rows.values().sum::<u64>() as f64);
        let each: Vec<_> = self
            .by_consumer(&all)
            .map(|(consumer, rows, first)| {
                let (written, from) = (time(first.second), time(seconds(minute(first.second)).start));
                format!(
                    "{consumer} has not passed {rows} of the outbox's rows, the first written at {written}: stop its \
                     host and repeat what came since, `weir offsets reset {consumer} FILE --to {from}`"
                )
            })
            .collect();
        self.degraded = (!each.is_empty()).then(|| self.conditions.degraded(each.join("; ")));
    }
}

/// The begin of a second, as the command line takes it.
fn time(second: Bucket) -> impl Display {
    jiff::Timestamp::from_second(second).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Reports;
    use crate::outbox::housekeeping::verdict::Unpassed;
    use crate::reader::tally::Tally;
    use weir_sdk::Conditions;
    use weir_sdk::metrics::{Metrics, names};

    #[test]
    fn what_is_unpassed_is_told_as_long_as_it_is_and_who_has_to_do_what() {
        let (metrics, conditions) = (Metrics::default(), Conditions::default());
        let consumers = vec!["orders/topic".to_owned(), "views/table".to_owned()];
        let mut reports = Reports::new(consumers, &metrics, conditions.clone());
        let unpassed = |consumer, second, rows| Unpassed { consumer, second, rows, row: None };
        let told = vec![Tally::default()];
        assert!(!reports.set(1, told.clone(), Vec::new()) && conditions.reason().is_none());
        assert!(reports.set(
            2,
            told.clone(),
            vec![unpassed(0, 125, 3), unpassed(1, 125, 2), unpassed(1, 150, 4)]
        ));
        assert!(reports.set(9, told.clone(), vec![unpassed(0, 545, 1)]));
        let figure = metrics.gauge(names::CDC_UNPASSED_ROWS);
        assert_eq!(figure.get() as u64, 8, "rows, whoever has not passed them");
        let reason = conditions.reason().unwrap();
        assert!(reason.starts_with("orders/topic has not passed 4 of the outbox's rows"), "{reason}");
        assert!(reason.contains("written at 1970-01-01T00:02:05Z"), "{reason}");
        assert!(reason.contains("; views/table has not passed 6 of the outbox's rows"), "{reason}");
        assert!(
            reason.contains("`weir offsets reset orders/topic FILE --to 1970-01-01T00:02:00Z`"),
            "{reason}"
        );
        assert!(reports.knows(2, &told) && !reports.knows(2, &[]) && !reports.knows(3, &told));
        assert!(!reports.set(2, told, Vec::new()));
        reports.forget(9);
        assert_eq!((figure.get() as u64, conditions.reason()), (0, None));
    }
}
