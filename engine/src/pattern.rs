//! Pure: a text with stars: `build 813*` is every text that begins so.

/// A text in which each `*` stands for any run of characters, none too. Every other character means itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(String);

impl Pattern {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether all of `text` is as the pattern says.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0 == text };
        let Some(mut text) = text.strip_prefix(first) else { return false };
        let (middle, last) =
            rest.rsplit_once('*').map_or((None, rest), |(middle, last)| (Some(middle), last));
        for piece in middle.into_iter().flat_map(|middle| middle.split('*')) {
            let Some(at) = text.find(piece) else { return false };
            text = &text[at + piece.len()..];
        }
        text.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_star_is_any_run_of_characters_and_everything_else_is_itself() {
        for (pattern, text, expected) in [
            ("build 813", "build 813", true),
            ("build 813", "build 8130", false),
            ("build 813*", "build 813, eu-1", true),
            ("build 813*", "build 813", true),
            ("build 813*", "old build 813", false),
            ("*eu-1", "build 813, eu-1", true),
            ("*eu-1", "build 813, eu-10", false),
            ("*", "", true),
            ("b*8*1*", "build 8, eu-1", true),
            ("b*1*8*", "build 8, eu-1", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("ab*ba", "aba", false),
            ("a**c", "abc", true),
            ("é*", "été", true),
            ("[ab]?", "a1", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} on {text}");
        }
    }
}
