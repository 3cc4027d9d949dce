//! Whole files through the loader, as an operator writes them.

mod connectors;
mod mutilated;
mod odd;
mod problems;
mod references;
mod schemas;
mod stores;

use std::path::PathBuf;

use super::{PipelineConfig, Report, load_texts};

/// A file without faults.
const GOOD: &str = "\
name: orders
source:
  connector: clock
  config: { rate: 10 }
sinks:
  - name: publisher
    connector: broker
    config:
      brokers: [a:1, b:2]
      topic: order-events
";

fn env(name: &str) -> Option<String> {
    match name {
        "NODES" => Some("a:1,b:2".to_owned()),
        "PASSWORD" => Some("hunter2!hunter2".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn load(texts: &[(&str, &str)]) -> Result<Vec<PipelineConfig>, Report> {
    let texts = texts.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned()));
    load_texts(texts, &connectors::registry(), &env)
}

fn good(text: &str) -> PipelineConfig {
    load(&[("p.yaml", text)]).expect("a file without faults").remove(0)
}

fn report(text: &str) -> Report {
    load(&[("p.yaml", text)]).expect_err("a file with faults")
}
