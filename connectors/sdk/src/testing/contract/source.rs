//! What a source promises.

mod fixture;
mod life;
mod reader;
mod reads;
mod resume;

use super::battery::{Battery, Report};

pub use fixture::SourceFixture;

/// Runs every check of a source.
///
/// # Panics
/// When the source breaks its contract, with every violation.
pub async fn source(fixture: &dyn SourceFixture) -> Report {
    let mut battery = Battery::new(fixture.patience().saturating_mul(30));
    battery.check("everything is read once and in order", reads::complete(fixture)).await;
    battery.check("a batch fits the room", reads::rooms(fixture)).await;
    battery.check("a record has one origin, over all reads", reads::origins(fixture)).await;
    battery.check("a checkpoint covers nothing that was not emitted", resume::everywhere(fixture)).await;
    battery.check("reading gets on, however often it is killed", resume::killed(fixture)).await;
    battery.check("start is stable", life::start(fixture)).await;
    battery.check("a commit runs beside a poll", life::commits(fixture)).await;
    battery.check("a dropped poll loses nothing and lets close", life::dropped(fixture)).await;
    battery.check("a far side that is down is an error and then reading goes on", life::down(fixture)).await;
    battery
        .check("an idle source says so every second, and covers nothing to come", life::idle(fixture))
        .await;
    battery.finish("source")
}
