//! Headers that etherparse reads, taken off a [`Window`](super::window::Window).
//!
//! etherparse knows where the fields are and when a header contradicts itself. Whether missing bytes are the capture's
//! fault or the sender's, only the window can say; so a refusal is translated there.

use etherparse::err::{LenError, ip_auth, ipv4, ipv6, tcp};
use etherparse::{
    Ethernet2HeaderSlice, IpAuthHeaderSlice, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice,
    Ipv6HeaderSlice, Ipv6RawExtHeaderSlice, SingleVlanHeaderSlice, TcpHeaderSlice, UdpHeaderSlice,
};

use super::Reason;

/// Why a header cannot be read.
pub(super) enum Refusal {
    /// It takes this many bytes, and fewer are there.
    Missing(usize),
    /// It contradicts itself.
    Contradiction(Reason),
}

/// A header at the start of some bytes.
pub(super) trait Header<'a>: Sized {
    /// Reads it, options included.
    fn read(bytes: &'a [u8]) -> Result<Self, Refusal>;
    /// Its bytes.
    fn bytes(&self) -> &'a [u8];
}

macro_rules! headers {
    ($($slice:ident)*) => {$(
        impl<'a> Header<'a> for $slice<'a> {
            fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
                Ok(Self::from_slice(bytes)?)
            }

            fn bytes(&self) -> &'a [u8] {
                self.slice()
            }
        }
    )*};
}

headers! {
    Ethernet2HeaderSlice
    SingleVlanHeaderSlice
    Ipv4HeaderSlice
    Ipv6HeaderSlice
    Ipv6RawExtHeaderSlice
    Ipv6FragmentHeaderSlice
    IpAuthHeaderSlice
    TcpHeaderSlice
    UdpHeaderSlice
}

impl From<LenError> for Refusal {
    fn from(error: LenError) -> Self {
        Self::Missing(error.required_len)
    }
}

impl From<ipv4::HeaderSliceError> for Refusal {
    fn from(error: ipv4::HeaderSliceError) -> Self {
        use ipv4::HeaderError::{HeaderLengthSmallerThanHeader, UnexpectedVersion};
        match error {
            ipv4::HeaderSliceError::Len(error) => error.into(),
            ipv4::HeaderSliceError::Content(UnexpectedVersion { .. }) => {
                Self::Contradiction(Reason::Version)
            }
            ipv4::HeaderSliceError::Content(HeaderLengthSmallerThanHeader { .. }) => {
                Self::Contradiction(Reason::Length)
            }
        }
    }
}

impl From<ipv6::HeaderSliceError> for Refusal {
    fn from(error: ipv6::HeaderSliceError) -> Self {
        match error {
            ipv6::HeaderSliceError::Len(error) => error.into(),
            ipv6::HeaderSliceError::Content(_) => Self::Contradiction(Reason::Version),
        }
    }
}

impl From<ip_auth::HeaderSliceError> for Refusal {
    fn from(error: ip_auth::HeaderSliceError) -> Self {
        match error {
            ip_auth::HeaderSliceError::Len(error) => error.into(),
            ip_auth::HeaderSliceError::Content(_) => Self::Contradiction(Reason::Length),
        }
    }
}

impl From<tcp::HeaderSliceError> for Refusal {
    fn from(error: tcp::HeaderSliceError) -> Self {
        match error {
            tcp::HeaderSliceError::Len(error) => error.into(),
            tcp::HeaderSliceError::Content(_) => Self::Contradiction(Reason::Length),
        }
    }
}
