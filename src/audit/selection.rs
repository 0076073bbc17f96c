//! Which codes are asked for.

use std::collections::BTreeSet;

use super::{CODES, Finding, Review};
use crate::signature::UnknownWord;

/// The codes that an audit shows.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    only: BTreeSet<&'static str>,
    ignored: BTreeSet<&'static str>,
}

impl Selection {
    /// The codes in `only`, all where it is empty, without those in `ignored`. Letters of either case are one.
    ///
    /// # Errors
    /// The first code that there is not, with the nearest that there is.
    pub fn new<'a>(
        only: impl IntoIterator<Item = &'a str>,
        ignored: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, UnknownWord> {
        Ok(Self {
            only: codes(only)?,
            ignored: codes(ignored)?,
        })
    }

    /// Whether findings of that code are shown.
    pub fn admits(&self, code: &str) -> bool {
        (self.only.is_empty() || self.only.contains(code)) && !self.ignored.contains(code)
    }

    /// Leaves out of a review what is not asked for.
    pub fn apply(&self, review: &mut Review) {
        let admits = |finding: &Finding| self.admits(finding.code);
        review.findings.retain(admits);
        review.waived.retain(|(finding, _)| admits(finding));
    }
}

fn codes<'a>(
    words: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeSet<&'static str>, UnknownWord> {
    let known = || CODES.iter().map(|code| code.code);
    let find = |word: &str| {
        let same = |code: &&'static str| code.eq_ignore_ascii_case(word);
        let unknown = || UnknownWord::new("code", &word.to_ascii_uppercase(), known());
        known().find(same).ok_or_else(unknown)
    };
    words.into_iter().map(|word| find(word.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_stays_out_also_where_it_is_asked_for() {
        let selection = Selection::new(["exw101", "EXW102"], ["EXW102"]).unwrap();
        assert!(selection.admits("EXW101"));
        assert!(!selection.admits("EXW102"));
        assert!(!selection.admits("EXW103"));
        assert!(Selection::default().admits("EXW103"));
    }

    #[test]
    fn an_unknown_code_is_answered_with_the_nearest() {
        let error = Selection::new(["EXW10l"], []).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("unknown code `EXW10L`, the nearest")
        );
    }
}
