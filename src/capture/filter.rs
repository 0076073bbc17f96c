//! Capture filters: libpcap's with the feature `libpcap`, a clear error without it.

#[cfg(not(feature = "libpcap"))]
mod disabled;
#[cfg(feature = "libpcap")]
mod enabled;

#[cfg(not(feature = "libpcap"))]
pub(super) use disabled::Filter;
#[cfg(feature = "libpcap")]
pub(super) use enabled::Filter;
