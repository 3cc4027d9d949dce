//! `Registry`: the connectors, transforms and checkpoint stores this host knows, by name; built in and loaded ones alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_sdk::config::{Problem, name_help};
use weir_sdk::{SinkFactory, SourceFactory, StoreFactory, TransformFactory};

/// The checkpoint store that is the host's own: a journal in the data directory.
pub const FILE_STORE: &str = "file";

/// The connectors, transforms and checkpoint stores this host knows.
#[derive(Clone, Default)]
pub struct Registry {
    sources: BTreeMap<String, Arc<dyn SourceFactory>>,
    sinks: BTreeMap<String, Arc<dyn SinkFactory>>,
    transforms: BTreeMap<String, Arc<dyn TransformFactory>>,
    stores: BTreeMap<String, Arc<dyn StoreFactory>>,
}

/// Two of one kind claim one name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("two {kind} are called `{name}`")]
pub struct Duplicate {
    kind: &'static str,
    name: String,
}

impl Registry {
    /// Adds a source connector.
    ///
    /// # Errors
    /// There is one of this name.
    pub fn add_source(&mut self, factory: Arc<dyn SourceFactory>) -> Result<(), Duplicate> {
        let name = factory.name().to_owned();
        match self.sources.insert(name.clone(), factory) {
            None => Ok(()),
            Some(_) => Err(Duplicate { kind: "source connectors", name }),
        }
    }

    /// Adds a sink connector.
    ///
    /// # Errors
    /// There is one of this name.
    pub fn add_sink(&mut self, factory: Arc<dyn SinkFactory>) -> Result<(), Duplicate> {
        let name = factory.name().to_owned();
        match self.sinks.insert(name.clone(), factory) {
            None => Ok(()),
            Some(_) => Err(Duplicate { kind: "sink connectors", name }),
        }
    }

    /// Adds a transform.
    ///
    /// # Errors
    /// There is one of this name.
    pub fn add_transform(&mut self, factory: Arc<dyn TransformFactory>) -> Result<(), Duplicate> {
        let name = factory.name().to_owned();
        match self.transforms.insert(name.clone(), factory) {
            None => Ok(()),
            Some(_) => Err(Duplicate { kind: "transforms", name }),
        }
    }

    /// Adds a kind of checkpoint store.
    ///
    /// # Errors
    /// There is one of this name; [`FILE_STORE`] is the host's own.
    pub fn add_store(&mut self, factory: Arc<dyn StoreFactory>) -> Result<(), Duplicate> {
        let name = factory.name().to_owned();
        let is_ours = name == FILE_STORE;
        match self.stores.insert(name.clone(), factory) {
            None if !is_ours => Ok(()),
            _ => Err(Duplicate { kind: "checkpoint stores", name }),
        }
    }

    /// The source connector of this name.
    ///
    /// # Errors
    /// There is none; the problem lists those that are.
    pub fn source(&self, name: &str) -> Result<&Arc<dyn SourceFactory>, Problem> {
        self.sources.get(name).ok_or_else(|| match self.sinks.contains_key(name) {
            true => Problem::new("", "this connector is a sink, not a source").help(self.known_sources(name)),
            false => Problem::new("", "there is no such source connector").help(self.known_sources(name)),
        })
    }

    /// The sink connector of this name.
    ///
    /// # Errors
    /// There is none; the problem lists those that are.
    pub fn sink(&self, name: &str) -> Result<&Arc<dyn SinkFactory>, Problem> {
        self.sinks.get(name).ok_or_else(|| match self.sources.contains_key(name) {
            true => Problem::new("", "this connector is a source, not a sink").help(self.known_sinks(name)),
            false => Problem::new("", "there is no such sink connector").help(self.known_sinks(name)),
        })
    }

    /// The transform of this name.
    ///
    /// # Errors
    /// There is none; the problem lists those that are.
    pub fn transform(&self, name: &str) -> Result<&Arc<dyn TransformFactory>, Problem> {
        self.transforms.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.transforms.keys().map(String::as_str).collect();
            Problem::new("", "there is no such transform").help(name_help(name, &known, "transforms"))
        })
    }

    /// The kind of checkpoint store of this name; the host's own is not among them.
    ///
    /// # Errors
    /// There is none; the problem lists those that are.
    pub fn store(&self, name: &str) -> Result<&Arc<dyn StoreFactory>, Problem> {
        self.stores.get(name).ok_or_else(|| {
            let known: Vec<&str> =
                std::iter::once(FILE_STORE).chain(self.stores.keys().map(String::as_str)).collect();
            Problem::new("", "there is no such checkpoint store").help(name_help(
                name,
                &known,
                "checkpoint stores",
            ))
        })
    }

    /// Every source connector, by name.
    pub fn sources(&self) -> impl Iterator<Item = &Arc<dyn SourceFactory>> {
        self.sources.values()
    }

    /// Every sink connector, by name.
    pub fn sinks(&self) -> impl Iterator<Item = &Arc<dyn SinkFactory>> {
        self.sinks.values()
    }

    /// Every transform, by name.
    pub fn transforms(&self) -> impl Iterator<Item = &Arc<dyn TransformFactory>> {
        self.transforms.values()
    }

    /// Every kind of checkpoint store but the host's own, by name.
    pub fn stores(&self) -> impl Iterator<Item = &Arc<dyn StoreFactory>> {
        self.stores.values()
    }

    fn known_sources(&self, given: &str) -> String {
        let known: Vec<&str> = self.sources.keys().map(String::as_str).collect();
        name_help(given, &known, "source connectors")
    }

    fn known_sinks(&self, given: &str) -> String {
        let known: Vec<&str> = self.sinks.keys().map(String::as_str).collect();
        name_help(given, &known, "sink connectors")
    }
}
