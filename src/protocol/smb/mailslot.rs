//! Mailslots (MS-MAIL 2.2.1, MS-CIFS 2.2.4.33): transactions of SMB 1 in datagrams of the NetBIOS datagram service (RFC 1002 4.4).
//!
//! Reads which mailslot a datagram is for (browser, netlogon); its content is left alone.

use super::super::{Datagram, DatagramDecoder, Probe, Reject};
use super::one::mailslot_name;
use super::{MAILSLOT, NAME, one};
use crate::bytes::Cursor;
use crate::evidence::Notes;

/// Bytes of a datagram's header; the length in it counts what follows.
const HEADER: usize = 14;
/// Flag of a first fragment.
const FIRST: u8 = 2;
/// Labels of a name: the encoded NetBIOS name and a scope (RFC 1001 14.1).
const MAX_LABELS: usize = 16;

/// Whether a datagram can begin so: direct unique, direct group, broadcast.
pub(super) const fn can_begin(byte: u8) -> bool {
    matches!(byte, 0x10..=0x12)
}

pub(super) struct Mailslots;

impl DatagramDecoder for Mailslots {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let message = user_data(datagram)?;
        if one::begins(message, message.len() as u64) != Probe::Yes {
            return Err(Reject::Other);
        }
        let name = mailslot_name(message).ok_or(Reject::Other)?;
        // The datagram service lies below, whoever reads it.
        let mut smb = notes.inside(NAME);
        smb.proved();
        smb.text(MAILSLOT, &name);
        Ok(())
    }
}

/// What a datagram carries after its header and names.
fn user_data(datagram: Datagram<'_>) -> Result<&[u8], Reject> {
    let mut cursor = Cursor::new(datagram.bytes);
    let [kind, flags] = *cursor.array()?;
    // Number, address and port of the source.
    cursor.skip(8)?;
    let length = usize::from(cursor.u16()?);
    let offset = cursor.u16()?;
    // Some servers count the header in.
    let fits = [length, length.saturating_add(HEADER)].contains(&datagram.wire_len);
    if !can_begin(kind) || flags & FIRST == 0 || offset != 0 || !fits {
        return Err(Reject::Other);
    }
    for _ in 0..2 {
        pass_name(&mut cursor)?;
    }
    match cursor.rest() {
        message @ [0xff, b'S', b'M', b'B', ..] => Ok(message),
        _ => Err(Reject::Other),
    }
}

fn pass_name(cursor: &mut Cursor<'_>) -> Result<(), Reject> {
    for _ in 0..MAX_LABELS {
        match cursor.u8()? {
            0 => return Ok(()),
            length @ 1..64 => cursor.skip(usize::from(length))?,
            _ => break,
        }
    }
    Err(Reject::Invalid("name"))
}
