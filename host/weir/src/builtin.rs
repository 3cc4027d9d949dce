//! The connectors, transforms and checkpoint stores that this binary carries, in reading order: the only place that names them.

use weir_host::registry::{Duplicate, Registry};

/// Every built-in connector, transform and checkpoint store.
///
/// # Errors
/// Two of one kind have the same name.
pub(crate) fn registry() -> Result<Registry, Duplicate> {
    let (mut registry, scylla) = (Registry::default(), weir_scylla::hub::Hub::default());
    let sources = [weir_scylla::sources(&scylla), weir_redpanda::sources(), weir_local::sources()];
    let sinks = [weir_redpanda::sinks(), weir_scylla::sinks(&scylla), weir_local::sinks()];
    sources.into_iter().flatten().try_for_each(|source| registry.add_source(source))?;
    sinks.into_iter().flatten().try_for_each(|sink| registry.add_sink(sink))?;
    #[cfg(feature = "dev")]
    weir_orders::sinks().into_iter().try_for_each(|sink| registry.add_sink(sink))?;
    weir_transforms::transforms().into_iter().try_for_each(|transform| registry.add_transform(transform))?;
    weir_scylla::stores(&scylla).into_iter().try_for_each(|store| registry.add_store(store))?;
    Ok(registry)
}
