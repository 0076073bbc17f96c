//! Parquet with the feature `parquet`, a clear error without it.
//!
//! The columns are the record's fields as JSON has them: objects are groups, lists are lists. A time is
//! a timestamp in microseconds, UTC, which every reader knows, and beside it a number of nanoseconds (`first_seen_ns`).
//! Records come in their order, in row groups of bounded size; nothing but the group under construction is held.

#[cfg(not(feature = "parquet"))]
mod disabled;
#[cfg(feature = "parquet")]
mod enabled;
#[cfg(feature = "parquet")]
mod shred;

#[cfg(not(feature = "parquet"))]
pub(super) use disabled::{File, Rows};
#[cfg(feature = "parquet")]
pub(super) use enabled::{File, Rows};

/// Whether this build can write it.
pub(super) const IS_AVAILABLE: bool = cfg!(feature = "parquet");
