//! `weir connectors`: which connectors, transforms and checkpoint stores there are, and the configuration of one.

mod keys;

use serde_json::{Value, json};
use weir_host::registry::Registry;
use weir_sdk::config::{first_sentence, name_help};

use crate::exit::Exit;
use crate::output;

/// List the connectors, transforms and checkpoint stores, or show the configuration of one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The connector, transform or store to show.
    name: Option<String>,
    /// Print JSON on standard output: kind and name, and with NAME the JSON Schema of its configuration.
    #[arg(long)]
    json: bool,
}

/// A connector, transform or store as it is shown.
struct Connector {
    kind: &'static str,
    name: String,
    schema: Value,
}

/// Prints the list, or the one.
pub(crate) fn run(args: &Args, registry: &Registry) -> Exit {
    let mut connectors = all(registry);
    if let Some(name) = &args.name {
        let known: Vec<String> = connectors.iter().map(|connector| connector.name.clone()).collect();
        connectors.retain(|connector| connector.name == *name);
        if connectors.is_empty() {
            let mut known: Vec<&str> = known.iter().map(String::as_str).collect();
            known.sort_unstable();
            known.dedup();
            output::complaint("there is no such connector", &name_help(name, &known, "connectors"));
            return Exit::Configuration;
        }
    }
    match (args.json, &args.name) {
        (true, name) => {
            let shown = connectors.iter().map(|connector| connector.object(name.is_some()));
            output::line(Value::from(shown.collect::<Vec<Value>>()));
        }
        (false, Some(_)) => connectors.iter().for_each(describe),
        (false, None) => list(&connectors),
    }
    Exit::Ok
}

fn all(registry: &Registry) -> Vec<Connector> {
    let sources = registry.sources().map(|factory| Connector {
        kind: "source",
        name: factory.name().to_owned(),
        schema: factory.config_schema(),
    });
    let sinks = registry.sinks().map(|factory| Connector {
        kind: "sink",
        name: factory.name().to_owned(),
        schema: factory.config_schema(),
    });
    let transforms = registry.transforms().map(|factory| Connector {
        kind: "transform",
        name: factory.name().to_owned(),
        schema: factory.config_schema(),
    });
    let stores = registry.stores().map(|factory| Connector {
        kind: "store",
        name: factory.name().to_owned(),
        schema: factory.config_schema(),
    });
    sources.chain(transforms).chain(sinks).chain(stores).collect()
}

impl Connector {
    /// What its configuration says of itself first.
    fn about(&self) -> String {
        first_sentence(self.schema.get("description").and_then(Value::as_str).unwrap_or_default())
    }

    fn object(&self, in_full: bool) -> Value {
        let mut object = json!({ "kind": self.kind, "name": self.name, "description": self.about() });
        if in_full {
            object["config"] = self.schema.clone();
        }
        object
    }
}

fn list(connectors: &[Connector]) {
    let width = connectors.iter().map(|connector| connector.name.len()).max().unwrap_or(0);
    for connector in connectors {
        let (kind, name, about) = (connector.kind, &connector.name, connector.about());
        output::line(format!("{kind:<9}  {name:<width$}  {about}").trim_end());
    }
}

fn describe(connector: &Connector) {
    let (kind, name, about) = (connector.kind, &connector.name, connector.about());
    output::line(format!("{kind} {name}: {about}").trim_end());
    let keys = keys::of(&connector.schema);
    let width = keys.iter().map(|key| key.name.len()).max().unwrap_or(0);
    for key in &keys {
        let about = format!("{} {}", key.kind, key.about);
        output::line(format!("  {:<width$}  {}", key.name, about.trim()).trim_end());
    }
}
