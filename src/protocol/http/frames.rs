//! HTTP/2 frames (RFC 9113 §4, §6): seen to be well-formed, and read where they say why a connection or request failed.
//!
//! Heads are compressed with the state of all heads before them (RFC 7541): they are passed over.

use super::{ERROR, VERSION};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::open_enum;
use crate::protocol::Reject;

/// The fixed part of a frame, RFC 9113 §4.1.
const HEADER: usize = 9;

open_enum! {
    /// Kinds of frames that are looked at, RFC 9113 §6.
    struct Kind(u8) {
        /// The end of one request.
        RST_STREAM = 3 => "rst_stream",
        /// The first frame of each side.
        SETTINGS = 4 => "settings",
        /// The end of the connection.
        GOAWAY = 7 => "goaway",
    }
}

open_enum! {
    /// Error codes, RFC 9113 §7.
    struct Code(u32) {
        /// No error.
        NO_ERROR = 0 => "no_error",
        /// A protocol error.
        PROTOCOL_ERROR = 1 => "protocol_error",
        /// A fault of the sender.
        INTERNAL_ERROR = 2 => "internal_error",
        /// Flow control was violated.
        FLOW_CONTROL_ERROR = 3 => "flow_control_error",
        /// Settings were not acknowledged.
        SETTINGS_TIMEOUT = 4 => "settings_timeout",
        /// A frame for a closed stream.
        STREAM_CLOSED = 5 => "stream_closed",
        /// A frame of wrong length.
        FRAME_SIZE_ERROR = 6 => "frame_size_error",
        /// Not processed.
        REFUSED_STREAM = 7 => "refused_stream",
        /// No longer wanted.
        CANCEL = 8 => "cancel",
        /// The state of compression is lost.
        COMPRESSION_ERROR = 9 => "compression_error",
        /// What CONNECT asked for failed.
        CONNECT_ERROR = 10 => "connect_error",
        /// Too much load.
        ENHANCE_YOUR_CALM = 11 => "enhance_your_calm",
        /// The transport is not secure enough.
        INADEQUATE_SECURITY = 12 => "inadequate_security",
        /// HTTP/1.1 is wanted.
        HTTP_1_1_REQUIRED = 13 => "http_1_1_required",
    }
}

/// What a frame leaves to do.
pub(super) enum Frame {
    /// So many bytes of a head are done with, so many of a payload are to be passed over.
    Pass(usize, u64),
    /// So many bytes are needed.
    More(usize),
}

/// Reads one frame. The `first` one of a side must be its settings (§3.4).
pub(super) fn frame(bytes: &[u8], first: bool, notes: &mut Notes<'_>) -> Result<Frame, Reject> {
    let mut cursor = Cursor::new(bytes);
    let Ok(&[a, b, c, kind, flags, stream @ ..]) = cursor.array::<HEADER>() else {
        return Ok(Frame::More(HEADER));
    };
    let length = u32::from_be_bytes([0, a, b, c]);
    let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
    let kind = Kind(kind);
    let is_settings =
        kind == Kind::SETTINGS && stream == 0 && length.is_multiple_of(6) && flags & !1 == 0;
    let code_at = match kind {
        Kind::SETTINGS if is_settings => None,
        _ if first => return Err(Reject::Invalid("settings")),
        Kind::RST_STREAM if stream != 0 && length == 4 => Some(0),
        Kind::GOAWAY if stream == 0 && length >= 8 => Some(4),
        Kind::SETTINGS | Kind::RST_STREAM | Kind::GOAWAY => return Err(Reject::Invalid("frame")),
        _ => None,
    };
    if let Some(offset) = code_at {
        if cursor.skip(offset).is_err() || cursor.len() < 4 {
            return Ok(Frame::More(HEADER.saturating_add(offset).saturating_add(4)));
        }
        notes.text(ERROR, &Code(cursor.u32()?).to_string());
    }
    notes.proved();
    notes.text(VERSION, "2");
    Ok(Frame::Pass(HEADER, u64::from(length)))
}
