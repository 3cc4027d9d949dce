//! What a sink promises.

mod drops;
mod fixture;
mod lane;
mod trouble;
mod writes;

use std::time::Duration;

use super::battery::{Battery, Report};

pub use fixture::SinkFixture;

/// Runs every check of a sink.
///
/// # Panics
/// When the sink breaks its contract, with every violation.
pub async fn sink(fixture: &dyn SinkFixture) -> Report {
    let mut battery = Battery::new(fixture.patience().saturating_mul(6).max(Duration::from_secs(10)));
    battery.check("a healthy far side answers the probe", writes::probe(fixture)).await;
    battery.check("a write without records is fine", writes::empty(fixture)).await;
    battery.check("content arrives as it was sent", writes::content(fixture)).await;
    battery.check("a full batch arrives", writes::full(fixture)).await;
    battery.check("order per key is kept inside a call", writes::order_in_call(fixture)).await;
    battery.check("order per key is kept over calls", writes::order_over_calls(fixture)).await;
    battery.check("lanes write side by side", writes::lanes(fixture)).await;
    battery.check("repeats are tolerated", writes::repeats(fixture)).await;
    battery.check("ok means durable", writes::durable(fixture)).await;
    battery.check("a record's own fault concerns nobody else", trouble::poison(fixture)).await;
    battery.check("a flaky far side loses and reorders nothing", trouble::flaky(fixture)).await;
    battery.check("a far side that is down is an error and then recovers", trouble::down(fixture)).await;
    battery.check("a dropped write acts before later ones or never", drops::dropped(fixture)).await;
    battery.check("a dropped write can be repeated", drops::repeated(fixture)).await;
    battery.check("silence does not overtake", drops::silent(fixture)).await;
    battery.check("close after a dropped write gives everything back", drops::closed(fixture)).await;
    battery.finish("sink")
}
