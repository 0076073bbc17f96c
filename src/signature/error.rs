//! What can be wrong with a signature file, and where.

use std::path::PathBuf;

/// A signature that cannot be used. It stops the run before the first packet.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Something in the file is wrong.
    #[error("{file}:{line}: {}{message}", row.as_ref().map(|id| format!("`{id}`: ")).unwrap_or_default())]
    Wrong {
        /// The file, as given or as compiled in.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Row, service or interface.
        row: Option<String>,
        /// What was expected, and what was found.
        message: String,
    },
    /// A port override that means nothing.
    #[error("--port {text}: {message}")]
    Port {
        /// The override as typed.
        text: String,
        /// What was expected, and what was found.
        message: String,
    },
}
