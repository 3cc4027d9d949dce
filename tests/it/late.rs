//! Rows that become visible late arrive, each once and marked, also when the host is killed in between.

use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::harness::{Arrived, Broker, Database, Fault, Outcome, Weir, figure, read_topic, until};
use crate::outbox::pipeline;

const LIMIT: Duration = Duration::from_secs(60);
const LATE: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(5), Duration::from_secs(20), Duration::from_secs(70)];

#[test]
fn rows_late_by_up_to_70_s_arrive_once_over_a_kill() {
    let (database, broker, folder) = (Database::embedded(), Broker::start(), tempfile::tempdir().unwrap());
    let file = pipeline(folder.path(), &database, &broker, "late");
    let data = folder.path().join("data");
    let faults = database.server().faults();
    let late: Vec<_> = LATE.iter().map(|_| Uuid::new_v4()).collect();
    let (first, last) = (Uuid::new_v4(), Uuid::new_v4());
    let arrived = |wanted: &[Uuid]| {
        let all = |arrived: &Arrived| wanted.iter().all(|id| arrived.by_key.contains_key(&id.to_string()));
        read_topic(&broker.address(), "late", LIMIT, |read| all(&Arrived::of(read)))
    };

    let mut weir = Weir::run(&[&file], &data, &[]);
    let http = weir.http();
    for (id, by) in late.iter().zip(LATE) {
        faults.delay_log_rows("orders_ks", "outbox_messages", 1, by);
        database.write(*id, [1]);
    }
    // It was written last and arrives: the place of the late ones has been read.
    database.write(first, [1]);
    arrived(&[first]);
    let since = Instant::now();
    let saved =
        || (figure(http, "weir_checkpoint_age_seconds")? + 0.1 < since.elapsed().as_secs_f64()).then_some(());
    until("a checkpoint beyond the late rows is saved", LIMIT, saved);
    weir.kill();

    // The host is away until the last of them can be read: at its start it visits once what it had read lately.
    faults.advance_clock(Duration::from_secs(80));
    let mut weir = Weir::run(&[&file], &data, &[]);
    let (http, since) = (weir.http(), Instant::now());
    arrived(&late);
    let recovered = since.elapsed();
    assert!(recovered < Duration::from_secs(10), "{recovered:?}");
    database.write(last, [1]);
    let read = arrived(&[last]);
    let marked = |id: &Uuid| {
        let of: Vec<_> = read.iter().filter(|record| record.key == id.to_string()).collect();
        (of.len(), of[0].headers.contains_key("weir.late"))
    };
    assert_eq!(late.iter().map(marked).collect::<Vec<_>>(), [(1, true); 4]);
    assert_eq!((marked(&first), marked(&last)), ((1, false), (1, false)));
    assert!(figure(http, "weir_cdc_late_rows_total").unwrap() >= 3.0);
    let row = Fault {
        place: "ScyllaDB",
        fault: "log rows that become readable up to 70 s late, and the host killed in between",
        seen: "RUNNING; they come once each, marked `weir.late`; `weir_cdc_late_rows_total` counts",
        repeated_at_most: "0",
        recovers_within: "10 s of the next start; in a host that runs, their lateness and a tenth",
    };
    row.survived(&Outcome { lost: 0, repeated: 0, recovered: Some(recovered) });
}
