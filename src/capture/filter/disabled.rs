//! What stands for filters in a build without libpcap.

use super::super::block::Block;
use super::super::error::CaptureError;

/// No value of it exists.
pub(in super::super) enum Filter {}

impl Filter {
    /// Refuses every expression.
    pub(in super::super) fn new(expression: &str) -> Result<Self, CaptureError> {
        Err(CaptureError::FilterUnavailable {
            expression: expression.to_owned(),
        })
    }

    /// Cannot be called.
    pub(in super::super) fn apply(&mut self, _block: &mut Block) -> Result<(), CaptureError> {
        match *self {}
    }
}
