//! A rebuild that is killed again and again, beside the table in use and in place, while orders are placed.

use std::time::{Duration, Instant};

use crate::harness::{Fault, Outcome, task};
use crate::projections::{place, projected};
use crate::rebuild::{SINK, Shop};

const TABLE: &str = "order_read_model";
const BESIDE: &str = "order_read_model_rebuilt";

/// Places orders, and rebuilds through three kills with more orders; how long the last life took.
fn through_kills(shop: &Shop, seed: u64, table: &str, arguments: &[&str]) -> Duration {
    shop.under_load(seed, || {
        let mut rows = shop.killed(table, arguments);
        for _ in 0..2 {
            // It goes on as it was begun.
            let now = shop.killed(table, &[]);
            assert!(now > rows, "{now} rows after {rows}: what was filled is emptied again");
            rows = now;
        }
    });
    let began = Instant::now();
    let (code, out, err) = shop.rebuild(&[]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(err.contains(&format!("goes on filling `{table}`: ")), "{err}");
    began.elapsed()
}

#[test]
fn a_rebuild_killed_again_and_again() {
    let shop = Shop::new();
    place(&shop.database, 40, 1);
    shop.slow(80);
    through_kills(&shop, 2, BESIDE, &[]);
    assert_eq!(shop.says_what_the_events_say(BESIDE), 80);

    let mut weir = shop.run();
    let http = weir.http();
    assert_eq!(projected(&shop.database), 80);
    let recovered = through_kills(&shop, 3, TABLE, &["--truncate", "--yes", "--anew"]);
    assert_eq!(projected(&shop.database), 120);
    assert_eq!(task(http, SINK)["state"], "RUNNING");
    Fault {
        place: "The host and its machine",
        fault: "`weir rebuild` killed (kill -9) three times, beside the table in use and in place, while orders are placed",
        seen: "the next `weir rebuild` goes on where it was, and exits 0; the host beside it stays RUNNING",
        repeated_at_most: "what was in flight and one checkpoint interval for each kill, which changes no row",
        recovers_within: "the time that is left of the rebuild: nothing begins again",
    }
    .survived(&Outcome { lost: 0, repeated: 0, recovered: Some(recovered) });
}
