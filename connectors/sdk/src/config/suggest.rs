//! "did you mean": the known name that a given one is most likely a misspelling of.

/// The nearest of the known names, if it is near enough to be what was meant.
pub fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = plain(given);
    // A third of the letters may be wrong, two at most.
    let allowed = (given.chars().count() / 3).min(2);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&given, &plain(name)), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// What to say below an unknown name: the one that was meant, or all that are known after `label`.
pub fn name_help(given: &str, known: &[&str], label: &str) -> String {
    match did_you_mean(given, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => format!("{label}: none"),
        None => format!("{label}: {}", known.join(", ")),
    }
}

/// Case and the choice between `-` and `_` are no difference worth a point.
fn plain(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}
