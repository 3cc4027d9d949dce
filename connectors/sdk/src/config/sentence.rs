//! What a doc comment says first, out of a JSON Schema's description.

/// The first sentence on one line; doc comments are wrapped.
pub fn first_sentence(description: &str) -> String {
    let paragraph = description.split("\n\n").next().unwrap_or_default().trim().replace('\n', " ");
    match paragraph.find(". ") {
        Some(end) => paragraph[..=end].to_owned(),
        None => paragraph,
    }
}

#[cfg(test)]
mod tests {
    use super::first_sentence;

    #[test]
    fn wrapped_lines_are_joined_and_later_sentences_left_out() {
        assert_eq!(first_sentence("Goes\non. And on.\n\nMore."), "Goes on.");
        assert_eq!(first_sentence("version 1.5 of it\n\nMore."), "version 1.5 of it");
        assert_eq!(first_sentence(""), "");
    }
}
