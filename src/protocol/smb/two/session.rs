//! How a session of SMB 2 begins: dialects, signing, cipher and mechanism.

use super::super::super::gss;
use super::super::{CIPHER, DIALECT, OFFERED, SESSION, SIGNING, status};
use super::Message;
use crate::bytes::{Cursor, Short};
use crate::evidence::Notes;

/// The negotiate context that names ciphers (2.2.3.1.2), and contexts and dialects read of one message.
const ENCRYPTION_CAPABILITIES: u16 = 2;
const MAX_CONTEXTS: u16 = 16;
const MAX_DIALECTS: u16 = 16;

crate::open_enum! {
    /// Dialects, 2.2.3.
    struct Dialect(u16) {
        SMB_2_0_2 = 0x0202 => "2.0.2",
        SMB_2_1 = 0x0210 => "2.1",
        SMB_3_0 = 0x0300 => "3.0",
        SMB_3_0_2 = 0x0302 => "3.0.2",
        SMB_3_1_1 = 0x0311 => "3.1.1",
        WILDCARD = 0x02ff => "2.???",
    }
}

crate::open_enum! {
    /// Ciphers, 2.2.3.1.2.
    struct Cipher(u16) {
        AES_128_CCM = 1 => "aes-128-ccm",
        AES_128_GCM = 2 => "aes-128-gcm",
        AES_256_CCM = 3 => "aes-256-ccm",
        AES_256_GCM = 4 => "aes-256-gcm",
    }
}

impl Message<'_> {
    /// NEGOTIATE request, 2.2.3.
    pub(super) fn offer(&self, notes: &mut Notes<'_>) -> Result<(), Short> {
        let mut body = self.body();
        body.skip(2)?;
        let count = body.u16_le()?;
        signing(body.u16_le()?, notes);
        body.skip(30)?;
        for _ in 0..count.min(MAX_DIALECTS) {
            notes.text(OFFERED, &dialect(body.u16_le()?));
        }
        Ok(())
    }

    /// NEGOTIATE response, 2.2.4.
    pub(super) fn choice(&self, notes: &mut Notes<'_>) -> Result<(), Short> {
        let mut body = self.body();
        body.skip(2)?;
        signing(body.u16_le()?, notes);
        let chosen = body.u16_le()?;
        notes.text(DIALECT, &dialect(chosen));
        let contexts = body.u16_le()?;
        body.skip(48)?;
        let token = self.buffer(&mut body)?;
        if let Some(token) = gss::mechanism(token) {
            // What a server can do is no choice yet.
            for offered in token.offered {
                notes.text(gss::GSS_OFFERED, offered);
            }
        }
        if Dialect(chosen) != Dialect::SMB_3_1_1 {
            return Ok(());
        }
        let offset = usize::try_from(body.u32_le()?).unwrap_or(usize::MAX);
        let mut list = Cursor::new(self.bytes.get(offset..).unwrap_or_default());
        for _ in 0..contexts.min(MAX_CONTEXTS) {
            list.align(8);
            let kind = list.u16_le()?;
            let length = usize::from(list.u16_le()?);
            list.skip(4)?;
            let mut context = list.sub(length)?;
            if kind == ENCRYPTION_CAPABILITIES {
                context.skip(2)?;
                let cipher = context.u16_le()?;
                if cipher != 0 {
                    notes.text(CIPHER, &Cipher(cipher).to_string());
                }
            }
        }
        Ok(())
    }

    /// SESSION_SETUP request, 2.2.5.
    pub(super) fn session_request(&self, notes: &mut Notes<'_>) -> Result<(), Short> {
        let mut body = self.body();
        body.skip(12)?;
        let token = self.buffer(&mut body)?;
        if let Some(token) = gss::mechanism(token) {
            token.note(notes);
        }
        Ok(())
    }

    /// SESSION_SETUP response, 2.2.6.
    pub(super) fn session_response(&self, notes: &mut Notes<'_>) -> Result<(), Short> {
        let mut body = self.body();
        body.skip(2)?;
        let flags = body.u16_le()?;
        if self.header.status != status::MORE_PROCESSING_REQUIRED {
            if flags & 1 != 0 {
                notes.text(SESSION, "guest");
            }
            if flags & 2 != 0 {
                notes.text(SESSION, "anonymous");
            }
        }
        let token = self.buffer(&mut body)?;
        if let Some(token) = gss::mechanism(token).filter(|token| token.mechanism != "negotiate") {
            token.note(notes);
        }
        Ok(())
    }
}

/// Security mode, 2.2.3 and 2.2.4.
fn signing(mode: u16, notes: &mut Notes<'_>) {
    if mode & 2 != 0 {
        notes.text(SIGNING, "required");
    } else if mode & 1 != 0 {
        notes.text(SIGNING, "enabled");
    }
}

fn dialect(number: u16) -> String {
    match Dialect(number).name() {
        Some(name) => name.to_owned(),
        None => format!("{number:#06x}"),
    }
}
