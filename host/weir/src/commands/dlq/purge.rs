//! `weir dlq purge`: removes dead letters from where they are kept.

use weir_host::config::Lookup;
use weir_host::registry::Registry;
use weir_sdk::Origin;

use super::filter::Filter;
use super::place::{Place, PlaceArgs};
use crate::exit::Exit;
use crate::output;

/// Remove dead letters: those that are picked, or all of them with --yes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    filter: Filter,
    /// Remove all of them where nothing picks.
    #[arg(long)]
    yes: bool,
    /// Only say how many would be removed.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: &Args, registry: &Registry, lookup: &dyn Lookup) -> anyhow::Result<Exit> {
    if args.filter.is_empty() && !args.yes && !args.dry_run {
        output::complaint(
            "this would remove every dead letter",
            "pick some, such as with --id, or say --yes",
        );
        return Ok(Exit::Configuration);
    }
    let place = match Place::find(&args.place, registry, lookup) {
        Ok(place) => place,
        Err(exit) => return Ok(exit),
    };
    let entries = place.index(&args.filter).await?;
    if args.dry_run {
        output::line(format!("{} dead letters would be removed", entries.len()));
        return Ok(Exit::Ok);
    }
    let letters = entries.len();
    remove(&place, entries.into_iter().flat_map(|entry| entry.origins).collect(), letters).await?;
    Ok(Exit::Ok)
}

/// Removes these, and says how many went.
pub(super) async fn remove(place: &Place, origins: Vec<Origin>, letters: usize) -> anyhow::Result<()> {
    let wanted = origins.len();
    let removed = if wanted == 0 { 0 } else { place.purge(origins).await? };
    if removed == wanted {
        output::line(format!("removed {letters} dead letters"));
    } else {
        output::line(format!(
            "removed {removed} of {wanted} records; the others stay: they are gone already, or stand behind records \
             that stay, and a topic can only be cut off at its begin"
        ));
    }
    Ok(())
}
