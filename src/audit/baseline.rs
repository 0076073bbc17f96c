//! An earlier run's findings, to show only what is new.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::order::arranged;
use super::{Finding, Review};

/// A baseline that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{}:{line}: expected the JSON or JSON lines of `exwire audit`: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
}

/// The fingerprints of an earlier run's findings.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    known: BTreeSet<String>,
}

/// All of a finding that counts here.
#[derive(Deserialize)]
struct Known {
    fingerprint: String,
}

impl Baseline {
    /// Reads what `exwire audit --format json` or `jsonl` wrote.
    ///
    /// # Errors
    /// Where the file cannot be read, or is no such output.
    pub fn read(path: &Path) -> Result<Self, BaselineError> {
        let text = std::fs::read_to_string(path).map_err(|source| BaselineError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|error| BaselineError::Wrong {
            path: path.to_owned(),
            line: error.line().max(1),
            message: error.to_string(),
        })
    }

    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let known: Vec<Known> = if text.trim_start().starts_with('[') {
            serde_json::from_str(text)?
        } else {
            serde_json::Deserializer::from_str(text)
                .into_iter()
                .collect::<Result<_, _>>()?
        };
        Ok(Self {
            known: known.into_iter().map(|known| known.fingerprint).collect(),
        })
    }

    /// Leaves out the findings that the earlier run had.
    pub fn apply(&self, review: &mut Review) {
        review.findings.retain(|finding| !self.knows(finding));
        let findings = std::mem::take(&mut review.findings);
        review.findings = arranged(findings, |finding| finding);
    }

    /// Whether the earlier run had that finding.
    pub fn knows(&self, finding: &Finding) -> bool {
        self.known.contains(&finding.fingerprint)
    }

    /// How many of its findings are not among those of `now`.
    pub fn gone(&self, now: &[Finding]) -> usize {
        let now: BTreeSet<&str> = now.iter().map(|finding| &*finding.fingerprint).collect();
        let is_gone = |known: &&String| !now.contains(known.as_str());
        self.known.iter().filter(is_gone).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_and_lines_are_read_alike() {
        let array = Baseline::parse(r#"[{"code": "EXW101", "fingerprint": "a"}]"#).unwrap();
        let lines =
            Baseline::parse("{\"fingerprint\": \"a\"}\n{\"fingerprint\": \"b\"}\n").unwrap();
        assert_eq!(array.known, BTreeSet::from(["a".to_owned()]));
        assert_eq!(lines.known.len(), 2);
        assert!(
            Baseline::parse("").unwrap().known.is_empty(),
            "a run without findings"
        );
    }

    #[test]
    fn what_is_no_output_of_an_audit_is_an_error_with_its_line() {
        let error = Baseline::parse("{\"fingerprint\": \"a\"}\n{\"flow\": 1}\n").unwrap_err();
        assert!(
            error.to_string().contains("missing field `fingerprint`"),
            "{error}"
        );
        assert_eq!(error.line(), 2);
    }
}
