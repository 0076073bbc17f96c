//! Protocol towers (C706 appendices I and L): how a binding is written in answers of the endpoint mapper.
//!
//! Lengths and versions are little-endian whatever the PDU says; ports and addresses are in network order.

use std::net::Ipv4Addr;

use uuid::Uuid;

use super::super::Reject;
use super::bind::Syntax;
use crate::bytes::Cursor;

/// Floors of a tower: five are usual, the registered sequences have at most seven.
const MAX_FLOORS: u16 = 16;

/// A tower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tower<'a> {
    pub(super) interface: Syntax,
    pub(super) endpoint: Option<TowerEndpoint<'a>>,
    /// Floor 5; 0.0.0.0 stands for the mapper's own address, also where that is IPv6.
    pub(super) address: Option<Ipv4Addr>,
}

/// Floor 4: where the interface is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TowerEndpoint<'a> {
    Tcp(u16),
    Udp(u16),
    Http(u16),
    /// A named pipe or local endpoint: text as on the wire.
    Pipe(&'a [u8]),
}

/// Protocol identifiers of floors (C706 appendix I, MS-RPCE 2.2.1.2.7).
mod floor {
    pub(super) const UUID: u8 = 0x0d;
    pub(super) const TCP: u8 = 0x07;
    pub(super) const UDP: u8 = 0x08;
    pub(super) const IP: u8 = 0x09;
    pub(super) const PIPE: u8 = 0x0f;
    pub(super) const LOCAL: u8 = 0x10;
    pub(super) const HTTP: u8 = 0x1f;
}

impl<'a> Tower<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes);
        let floors = cursor.u16_le()?;
        if !(2..=MAX_FLOORS).contains(&floors) {
            return Err(Reject::Invalid("tower floors"));
        }
        let interface = syntax(&mut cursor)?;
        syntax(&mut cursor)?;
        let mut tower = Self {
            interface,
            endpoint: None,
            address: None,
        };
        for _ in 2..floors {
            let (id, _, right) = floor(&mut cursor)?;
            let mut value = Cursor::new(right);
            match id {
                floor::TCP => tower.endpoint = Some(TowerEndpoint::Tcp(value.u16()?)),
                floor::UDP => tower.endpoint = Some(TowerEndpoint::Udp(value.u16()?)),
                floor::HTTP => tower.endpoint = Some(TowerEndpoint::Http(value.u16()?)),
                floor::IP => tower.address = Some(Ipv4Addr::from_bits(value.u32()?)),
                floor::PIPE | floor::LOCAL => {
                    let text = right.split(|&byte| byte == 0).next().unwrap_or_default();
                    tower.endpoint = Some(TowerEndpoint::Pipe(text));
                }
                _ => {}
            }
        }
        Ok(tower)
    }
}

/// A floor: its protocol identifier, the rest of its left half, and its right half.
fn floor<'a>(cursor: &mut Cursor<'a>) -> Result<(u8, &'a [u8], &'a [u8]), Reject> {
    let left = usize::from(cursor.u16_le()?);
    let mut left = cursor.sub(left)?;
    let id = left.u8()?;
    let right = usize::from(cursor.u16_le()?);
    Ok((id, left.rest(), cursor.take(right)?))
}

fn syntax(cursor: &mut Cursor<'_>) -> Result<Syntax, Reject> {
    let (id, left, right) = floor(cursor)?;
    if id != floor::UUID {
        return Err(Reject::Invalid("tower floor"));
    }
    let mut left = Cursor::new(left);
    Ok(Syntax {
        uuid: Uuid::from_bytes_le(*left.array()?),
        major: left.u16_le()?,
        minor: Cursor::new(right).u16_le()?,
    })
}
