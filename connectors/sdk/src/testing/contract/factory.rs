//! What a connector's factory promises before anything is opened.

use serde_json::{Value, json};

use crate::config::Problem;
use crate::connector::{SinkFactory, SourceFactory};

/// Checks the name, the schema and the configuration check of a sink connector; `good` is a block that it accepts.
///
/// # Panics
/// When any of it is not as it must be.
#[track_caller]
pub fn sink_factory(factory: &dyn SinkFactory, good: &Value) {
    check(factory.name(), &factory.config_schema(), good, |config| factory.check(config));
}

/// Checks the name, the schema and the configuration check of a source connector; `good` is a block that it accepts.
///
/// # Panics
/// When any of it is not as it must be.
#[track_caller]
pub fn source_factory(factory: &dyn SourceFactory, good: &Value) {
    check(factory.name(), &factory.config_schema(), good, |config| factory.check(config));
}

#[track_caller]
fn check(name: &str, schema: &Value, good: &Value, check: impl Fn(&Value) -> Vec<Problem>) {
    let is_kebab = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    assert!(!name.is_empty() && name.bytes().all(is_kebab), "{name:?} is not a name in kebab-case");
    assert_eq!(schema["type"], "object", "{name}: the schema must be of an object: {schema}");
    assert_eq!(schema["additionalProperties"], false, "{name}: the configuration must deny unknown keys");
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let described = property["description"].as_str().is_some_and(|text| !text.trim().is_empty());
        assert!(described, "{name}: the key `{key}` needs a doc comment, which editors show");
    }
    assert_eq!(check(good), [], "{name}: refuses a good configuration");
    let mut wrong = good.clone();
    wrong["no_such_key"] = json!(1);
    let problems = check(&wrong);
    let named = problems
        .iter()
        .any(|problem| problem.pointer.contains("no_such_key") || problem.message.contains("no_such_key"));
    assert!(named, "{name}: an unknown key must be a problem that names it: {problems:?}");
    assert_ne!(check(&json!("text")), [], "{name}: text in place of a block must be a problem");
}
