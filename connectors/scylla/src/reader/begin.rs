//! Where a source begins: where its checkpoint ends, or where its configuration says, and with or without a snapshot.

use std::time::Duration;

use weir_sdk::Checkpoint;

use super::config::{LogConfig, SnapshotMode, StartAt};
use super::time::{Micros, begin, bucket, micros};
use super::token::{Main, Position};
use crate::snapshot::ranges::Ranges;

/// Where to begin.
#[derive(Debug, Default)]
pub struct Begin {
    /// In the log.
    pub position: Position,
    /// In the table; `None` when only the log is read.
    pub snapshot: Option<Ranges>,
    /// What the host saves before the first poll.
    pub checkpoint: Checkpoint,
    /// What is gone over and lost with an accepted gap.
    pub lost: Option<Duration>,
}

/// What is there to begin with.
#[derive(Debug)]
pub struct There {
    /// The server's time.
    pub now: Micros,
    /// The oldest time of which the log can still hold every row.
    pub oldest: Micros,
    /// The checkpoint's position in the log.
    pub position: Option<Position>,
    /// The checkpoint's snapshot, if it is not done.
    pub snapshot: Option<Ranges>,
    /// The operator accepts that something is lost.
    pub accepts_gap: bool,
}

impl Begin {
    /// Decides.
    pub fn of(config: &LogConfig, mode: SnapshotMode, there: There) -> Self {
        let There { now, oldest, position, snapshot, accepts_gap } = there;
        let safety = micros(config.safety.get());
        let Some(position) = position else {
            return match mode {
                SnapshotMode::None => Self::log(config.start, now, oldest),
                SnapshotMode::Initial => Self::table(now, oldest, safety),
            };
        };
        if !accepts_gap || position.main.unread() >= oldest {
            return Self { position, snapshot, ..Self::default() };
        }
        if let Some(snapshot) = snapshot {
            // Nothing of the log was read yet, so a table that is read anew makes up for all of it.
            let Self { position, snapshot: anew, checkpoint: begin, .. } = Self::table(now, oldest, safety);
            let mut checkpoint = Checkpoint::default();
            snapshot.retire_in(&mut checkpoint);
            checkpoint.merge(begin);
            return Self { position, snapshot: anew, checkpoint, lost: None };
        }
        let lost = Some(Duration::from_micros((oldest - position.main.unread()).unsigned_abs()));
        let position = position.begun_anew(oldest, now);
        let checkpoint = [position.main.put()].into_iter().collect();
        Self { position, checkpoint, lost, snapshot: None }
    }

    /// The log only; never before the oldest row that can still be there.
    fn log(start: StartAt, now: Micros, oldest: Micros) -> Self {
        // Seconds are visited as a whole: what else the first one holds would come too, but late and out of order.
        let second_of = |time| begin(bucket(time)).max(oldest);
        let (cut, fresh) = match start {
            StartAt::Earliest => (oldest, Some(now)),
            StartAt::Latest => (second_of(now), None),
            StartAt::At(time) => (second_of(time.0), (time.0 <= oldest).then_some(now)),
        };
        let main = Main { cut, fresh, ..Main::default() };
        let checkpoint = [main.put()].into_iter().collect();
        Self { position: Position { main, ..Position::default() }, checkpoint, ..Self::default() }
    }

    /// The table, and then the log from before now: what was written earlier than `safety` ago is in the table by now,
    /// or came later than the promise covers.
    fn table(now: Micros, oldest: Micros, safety: Micros) -> Self {
        let main = Main { cut: now.saturating_sub(safety).max(oldest), ..Main::default() };
        let mut ranges = Ranges::begin(now);
        let mut checkpoint: Checkpoint = [main.put()].into_iter().collect();
        checkpoint.merge(ranges.checkpoint());
        let position = Position { main, ..Position::default() };
        Self { position, snapshot: Some(ranges), checkpoint, lost: None }
    }
}

#[cfg(test)]
mod tests {
    use super::{Begin, There};
    use crate::outbox::config::OutboxConfig;
    use crate::reader::time::SECOND;
    use crate::reader::token::Position;
    use crate::snapshot::ranges::Ranges;
    use serde_json::json;
    use weir_sdk::Checkpoint;

    const NOW: i64 = 1_700_000_000 * SECOND;

    fn config(snapshot: &str) -> OutboxConfig {
        weir_sdk::config::read(&json!({
            "session": {"contact_points": "127.0.0.1:9042"}, "keyspace": "shop", "table": "outbox", "snapshot": snapshot
        }))
        .unwrap()
    }

    fn begun(snapshot: &str, there: There) -> Begin {
        let config = config(snapshot);
        Begin::of(&config.log(), config.snapshot, there)
    }

    fn there(checkpoint: &Checkpoint, now: i64) -> There {
        There {
            now,
            oldest: now - 3600 * SECOND,
            position: Position::read(checkpoint).unwrap(),
            snapshot: Ranges::read(checkpoint).unwrap(),
            accepts_gap: true,
        }
    }

    #[test]
    fn a_start_at_a_time_is_one_at_its_second_and_never_before_what_the_log_holds() {
        let (now, oldest) = (NOW + 700_000, NOW - 3600 * SECOND + 1);
        let cut = |start: &str| Begin::log(start.parse().unwrap(), now, oldest).position.main.cut;
        assert_eq!(cut("latest"), NOW);
        assert_eq!(cut("2023-11-14T22:13:19.9Z"), NOW - SECOND);
        assert_eq!(cut("2001-01-01T00:00:00Z"), oldest);
    }

    #[test]
    fn a_snapshot_is_taken_once_and_finished_whatever_the_configuration_says_by_then() {
        let begin = begun("initial", there(&Checkpoint::default(), NOW));
        assert_eq!(begin.position.main.cut, NOW - 120 * SECOND);
        let again = begun("none", there(&begin.checkpoint, NOW + SECOND));
        assert_eq!((again.snapshot, again.checkpoint.len()), (begin.snapshot, 0));
        let log = [begin.position.main.put()].into_iter().collect();
        assert!(begun("initial", there(&log, NOW)).snapshot.is_none());
    }

    #[test]
    fn a_log_that_has_forgotten_the_begin_of_a_snapshot_means_another_snapshot() {
        let begin = begun("initial", there(&Checkpoint::default(), NOW));
        let mut saved = begin.checkpoint;
        saved.set("snapshot/3".into(), vec![1, 0x80 + 3, 0, 0, 0, 0, 0, 0, 1]);
        let (later, fresh) = (NOW + 4000 * SECOND, Ranges::begin(0).left());
        assert_ne!(there(&saved, later).snapshot.unwrap().left(), fresh);
        let anew = begun("initial", there(&saved, later));
        assert_eq!((anew.position.main.cut, anew.lost), (later - 120 * SECOND, None));
        saved.merge(anew.checkpoint);
        let resumed = there(&saved.without_retired(), later).snapshot.unwrap();
        assert_eq!((resumed.began(), resumed.left()), (later, fresh));
    }
}
