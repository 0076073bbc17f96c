//! Requests to send (MS-RPCH 2.2.3): the control messages of RPC over HTTP, which join the channels of a virtual
//! connection.
//!
//! Reads whole RTS PDUs: their commands, and the cookie by which the IN and the OUT channel, and the proxy's two
//! connections to the back end, know each other.

use std::net::IpAddr;

use smallvec::SmallVec;
use uuid::Uuid;

use super::super::{Probe, Reject};
use super::pdu::{Header, Order};
use super::{RTS, RTS_CLIENT, VIRTUAL_CONNECTION};
use crate::bytes::{Cursor, Short};
use crate::evidence::{Notes, Value};

/// Commands of one PDU: the documented ones have at most seven.
const MAX_COMMANDS: u16 = 16;
/// Bytes of the padding command: MS-RPCH 2.2.3.5.9 allows no more.
const MAX_PADDING: u32 = 0xffff;

crate::open_enum! {
    /// Commands (MS-RPCH 2.2.3.5).
    struct Command(u32) {
        RECEIVE_WINDOW_SIZE = 0 => "receive_window_size",
        FLOW_CONTROL_ACK = 1 => "flow_control_ack",
        CONNECTION_TIMEOUT = 2 => "connection_timeout",
        COOKIE = 3 => "cookie",
        CHANNEL_LIFETIME = 4 => "channel_lifetime",
        CLIENT_KEEPALIVE = 5 => "client_keepalive",
        VERSION = 6 => "version",
        EMPTY = 7 => "empty",
        PADDING = 8 => "padding",
        NEGATIVE_ANCE = 9 => "negative_ance",
        ANCE = 10 => "ance",
        CLIENT_ADDRESS = 11 => "client_address",
        ASSOCIATION_GROUP_ID = 12 => "association_group_id",
        DESTINATION = 13 => "destination",
        PING_TRAFFIC_SENT_NOTIFY = 14 => "ping_traffic_sent_notify",
    }
}

/// Flags (MS-RPCH 2.2.3.6).
mod flag {
    pub(super) const PING: u16 = 0x01;
    pub(super) const RECYCLE: u16 = 0x04;
    pub(super) const EOF: u16 = 0x20;
    pub(super) const ECHO: u16 = 0x40;
    pub(super) const ALL: u16 = 0x7f;
}

/// An RTS PDU.
#[derive(Debug)]
pub(super) struct Rts {
    flags: u16,
    commands: SmallVec<[Command; 8]>,
    /// The cookie after the version: that of the virtual connection.
    virtual_connection: Option<Uuid>,
    client_address: Option<IpAddr>,
}

impl Rts {
    /// Reads a whole PDU.
    pub(super) fn parse(header: &Header, whole: &[u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(whole);
        cursor.skip(Header::BYTES)?;
        let order = header.order;
        let flags = order.u16(&mut cursor)?;
        let count = order.u16(&mut cursor)?;
        if flags & !flag::ALL != 0 || count > MAX_COMMANDS {
            return Err(Reject::Invalid("RTS header"));
        }
        let mut rts = Self {
            flags,
            commands: SmallVec::new(),
            virtual_connection: None,
            client_address: None,
        };
        for _ in 0..count {
            rts.command(order, &mut cursor)?;
        }
        if cursor.is_empty() {
            Ok(rts)
        } else {
            Err(Reject::Invalid("RTS length"))
        }
    }

    fn command(&mut self, order: Order, cursor: &mut Cursor<'_>) -> Result<(), Reject> {
        let command = Command(order.u32(cursor)?);
        match command {
            Command::EMPTY | Command::NEGATIVE_ANCE | Command::ANCE => {}
            Command::FLOW_CONTROL_ACK => cursor.skip(24)?,
            Command::COOKIE => {
                let cookie = order.uuid(cursor)?;
                if *self.commands == [Command::VERSION] {
                    self.virtual_connection = Some(cookie);
                }
            }
            Command::ASSOCIATION_GROUP_ID => cursor.skip(16)?,
            Command::PADDING => {
                let length = order.u32(cursor)?;
                if length > MAX_PADDING {
                    return Err(Reject::Invalid("RTS padding"));
                }
                cursor.skip(usize::try_from(length).unwrap_or(usize::MAX))?;
            }
            Command::CLIENT_ADDRESS => {
                self.client_address = Some(match order.u32(cursor)? {
                    0 => IpAddr::from(*cursor.array::<4>()?),
                    1 => IpAddr::from(*cursor.array::<16>()?),
                    _ => return Err(Reject::Invalid("RTS client address")),
                });
                cursor.skip(12)?;
            }
            known if known.name().is_some() => cursor.skip(4)?,
            _ => return Err(Reject::Invalid("RTS command")),
        }
        self.commands.push(command);
        Ok(())
    }

    /// The name of the PDU (MS-RPCH 2.2.4), where its commands are those of one alone; else what its flags say.
    fn name(&self) -> &'static str {
        use Command as C;
        match &*self.commands {
            [C::VERSION, C::COOKIE, C::COOKIE, C::RECEIVE_WINDOW_SIZE] => "CONN/A1",
            [
                C::VERSION,
                C::COOKIE,
                C::COOKIE,
                C::CHANNEL_LIFETIME,
                C::RECEIVE_WINDOW_SIZE,
            ] => "CONN/A2",
            [C::CONNECTION_TIMEOUT] => "CONN/A3",
            [
                C::VERSION,
                C::COOKIE,
                C::COOKIE,
                C::CHANNEL_LIFETIME,
                C::CLIENT_KEEPALIVE,
                C::ASSOCIATION_GROUP_ID,
            ] => "CONN/B1",
            [
                C::VERSION,
                C::COOKIE,
                C::COOKIE,
                C::RECEIVE_WINDOW_SIZE,
                C::CONNECTION_TIMEOUT,
                C::ASSOCIATION_GROUP_ID,
                C::CLIENT_ADDRESS,
            ] => "CONN/B2",
            [C::RECEIVE_WINDOW_SIZE, C::VERSION] => "CONN/B3",
            [C::VERSION, C::RECEIVE_WINDOW_SIZE, C::CONNECTION_TIMEOUT] => "CONN/C",
            _ if self.flags & flag::RECYCLE != 0 => "recycle",
            _ if self.flags & flag::PING != 0 => "ping",
            _ if self.flags & flag::ECHO != 0 => "echo",
            _ if self.flags & flag::EOF != 0 => "eof",
            _ if self.commands.contains(&C::FLOW_CONTROL_ACK) => "flow_control_ack",
            _ => "other",
        }
    }

    /// Notes what it says. Who names the virtual connection opens a channel, and is the client of this one.
    pub(super) fn note(&self, notes: &mut Notes<'_>) {
        notes.about(0);
        notes.text(RTS, self.name());
        if let Some(cookie) = self.virtual_connection {
            notes.text(VIRTUAL_CONNECTION, &cookie.to_string());
            let client = notes.side();
            notes.client(client);
        }
        if let Some(address) = self.client_address {
            notes.value(RTS_CLIENT, Value::Address(address));
        }
    }
}

/// Whether the beginning of a PDU with an RTS header goes on like one.
pub(super) fn probe(header: &Header, bytes: &[u8]) -> Probe {
    let mut cursor = Cursor::new(bytes);
    let mut numbers = || {
        cursor.skip(Header::BYTES)?;
        Ok::<_, Short>((
            header.order.u16(&mut cursor)?,
            header.order.u16(&mut cursor)?,
        ))
    };
    match numbers() {
        _ if header.call_id != 0 || header.auth_length != 0 => Probe::No,
        Err(_) => Probe::More,
        Ok((flags, count)) if flags & !flag::ALL == 0 && count <= MAX_COMMANDS => Probe::Yes,
        Ok(_) => Probe::No,
    }
}
