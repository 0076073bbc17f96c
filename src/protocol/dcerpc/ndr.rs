//! Network data representation (C706 14, MS-RPCE 2.2.5 for NDR64): the little of it that answers with endpoints need.

use super::pdu::Order;
use crate::bytes::{Cursor, Short};

/// How a stub is written: byte order, and whether NDR64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    pub(super) order: Order,
    pub(super) wide: bool,
}

/// Reads NDR or NDR64: alignment counts from the start of the stub.
pub(super) struct Ndr<'a> {
    pub(super) cursor: Cursor<'a>,
    pub(super) encoding: Encoding,
}

impl<'a> Ndr<'a> {
    pub(super) const fn new(stub: &'a [u8], encoding: Encoding) -> Self {
        Self {
            cursor: Cursor::new(stub),
            encoding,
        }
    }

    /// An `unsigned short` of the interface definition.
    pub(super) fn short(&mut self) -> Result<u16, Short> {
        self.cursor.align(2);
        self.encoding.order.u16(&mut self.cursor)
    }

    /// An `unsigned long` of the interface definition.
    pub(super) fn long(&mut self) -> Result<u32, Short> {
        self.cursor.align(4);
        self.encoding.order.u32(&mut self.cursor)
    }

    /// A count, offset or pointer: as wide as the encoding.
    pub(super) fn count(&mut self) -> Result<u64, Short> {
        if self.encoding.wide {
            self.cursor.align(8);
            self.encoding.order.u64(&mut self.cursor)
        } else {
            self.long().map(u64::from)
        }
    }

    /// `count` elements of at least `size` bytes each can be there.
    pub(super) fn fits(&self, count: u64, size: u64) -> bool {
        count.saturating_mul(size) <= self.cursor.len() as u64
    }
}
