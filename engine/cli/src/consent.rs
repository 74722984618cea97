//! Pure: whether something that destroys may go ahead.

use crate::exit::{Exit, Failure};

/// What decides before anything is destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// It was given with the call (`--yes`).
    Given,
    /// Somebody sits there who can be asked.
    Ask,
}

/// Consent to `what` (`remove players/42`), for a call with or without `--yes`, from a terminal or from a script.
///
/// # Errors
///
/// Nobody can be asked, and the call does not say `--yes`.
pub fn consent(what: &str, yes: bool, on_terminal: bool) -> Result<Consent, Failure> {
    match (yes, on_terminal) {
        (true, _) => Ok(Consent::Given),
        (false, true) => Ok(Consent::Ask),
        (false, false) => Err(Failure::new(
            Exit::Usage,
            format!("{what}: nobody can be asked"),
            "add `--yes` if it is meant",
        )),
    }
}

/// True for an answer that agrees: `y` or `yes`. Everything else, an empty line too, does not.
#[must_use]
pub fn agrees(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_person_or_yes_lets_it_go_ahead() {
        assert_eq!(consent("remove a/b", true, true), Ok(Consent::Given));
        assert_eq!(consent("remove a/b", true, false), Ok(Consent::Given));
        assert_eq!(consent("remove a/b", false, true), Ok(Consent::Ask));
        let refused = consent("remove a/b", false, false).expect_err("nobody agreed");
        assert_eq!(refused.exit, Exit::Usage);
        assert_eq!(refused.to_string(), "remove a/b: nobody can be asked; add `--yes` if it is meant");
    }

    #[test]
    fn only_yes_agrees() {
        for (answer, expected) in [
            ("y\n", true),
            ("YES\r\n", true),
            (" yes ", true),
            ("", false),
            ("\n", false),
            ("yep", false),
            ("n", false),
        ] {
            assert_eq!(agrees(answer), expected, "{answer:?}");
        }
    }
}
