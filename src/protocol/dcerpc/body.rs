//! What lies in a whole fragment behind its header: stub, token, status.

use super::super::gss;
use super::pdu::{Header, Trailer};
use super::{FAULT, MECHANISM, SERVICE, status};
use crate::bytes::Cursor;
use crate::evidence::Notes;

/// The stub of a whole request or response, without padding and trailer.
pub(super) fn stub<'a>(header: &Header, whole: &'a [u8], trailer: Option<Trailer>) -> &'a [u8] {
    let end = match (header.trailer_offset(), trailer) {
        (Some(offset), Some(trailer)) => offset.saturating_sub(trailer.padding),
        _ => header.length,
    };
    whole.get(header.stub_offset()..end).unwrap_or_default()
}

/// Notes the mechanism that a token chooses, the service that its ticket is for, and who sends it.
pub(super) fn token(header: &Header, whole: &[u8], notes: &mut Notes<'_>) {
    let token = header
        .trailer_offset()
        .and_then(|offset| whole.get(offset.saturating_add(Header::TRAILER)..))
        .and_then(gss::mechanism);
    if let Some(token) = token {
        notes.about(0);
        if token.mechanism != "negotiate" {
            notes.text(MECHANISM, token.mechanism);
        }
        notes.text(SERVICE, token.service.as_deref().unwrap_or_default());
        token.note_sender(notes);
    }
}

/// Notes the status of a fault.
pub(super) fn fault(header: &Header, whole: &[u8], notes: &mut Notes<'_>) {
    let mut cursor = Cursor::new(whole);
    let code = cursor.skip(24).and_then(|()| header.order.u32(&mut cursor));
    if let Ok(code) = code {
        notes.text(FAULT, &status::text(code));
    }
}
