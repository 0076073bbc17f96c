//! How a session of SMB 1 begins: dialects, mechanisms, software, and the paths of trees.

use super::super::super::gss;
use super::super::{
    DIALECT, NATIVE_LAN_MANAGER, NATIVE_OS, NEGOTIATE_STATUS, OFFERED, SESSION, SIGNING,
};
use super::{Block, Message};
use crate::bytes::Short;
use crate::evidence::Notes;

/// Dialects remembered of an offer: a dozen were ever in use.
const MAX_DIALECTS: usize = 16;
/// The dialect of NT, whose negotiation response has so many bytes of parameters.
const NT_LM: &str = "NT LM 0.12";
const NT_LM_BYTES: usize = 34;
/// Capability: GSS tokens in session set-up.
const EXTENDED_SECURITY: u32 = 0x8000_0000;

/// What negotiation settled.
#[derive(Default)]
pub(in super::super) struct Terms {
    offered: Vec<Box<str>>,
    /// Passwords are sent in clear.
    pub(super) plain: bool,
}

impl<'a> Message<'a> {
    /// SESSION_SETUP_ANDX request: with a token (MS-SMB 2.2.4.6.1), or with answers to the challenge (MS-CIFS
    /// 2.2.4.53.1), of which only lengths are read.
    pub(super) fn session_request(
        &self,
        block: &Block<'a>,
        plain: bool,
        notes: &mut Notes<'_>,
    ) -> Result<(), Short> {
        let mut fields = block.fields();
        match block.words.len() {
            24 => {
                fields.skip(14)?;
                let length = usize::from(fields.u16_le()?);
                let token = block.data.get(..length).unwrap_or(block.data);
                if let Some(token) = gss::mechanism(token) {
                    token.note(notes);
                }
                natives(&self.texts(block, length, 2), notes);
            }
            26 => {
                fields.skip(14)?;
                let answers = [usize::from(fields.u16_le()?), usize::from(fields.u16_le()?)];
                let length = answers.iter().sum();
                let texts = self.texts(block, length, 4);
                if let [account, domain, software @ ..] = texts.as_slice() {
                    if account.is_empty() && length <= 1 {
                        notes.text(SESSION, "anonymous");
                    } else {
                        let how = if plain { "plain" } else { "ntlm" };
                        notes.text(gss::GSS_MECHANISM, how);
                        notes.text(gss::GSS_DOMAIN, domain);
                    }
                    natives(software, notes);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// SESSION_SETUP_ANDX response, MS-CIFS 2.2.4.53.2 and MS-SMB 2.2.4.6.2.
    pub(super) fn session_response(
        &self,
        block: &Block<'a>,
        notes: &mut Notes<'_>,
    ) -> Result<(), Short> {
        let mut fields = block.fields();
        fields.skip(4)?;
        let action = fields.u16_le()?;
        if action & 1 != 0 {
            notes.text(SESSION, "guest");
        }
        let mut length = 0;
        if block.words.len() == 8 {
            length = usize::from(fields.u16_le()?);
            let token = block.data.get(..length).unwrap_or(block.data);
            if let Some(token) =
                gss::mechanism(token).filter(|token| token.mechanism != "negotiate")
            {
                token.note(notes);
            }
        }
        natives(&self.texts(block, length, 2), notes);
        Ok(())
    }

    /// NEGOTIATE response, MS-CIFS 2.2.4.52.2.
    pub(super) fn choice(
        &self,
        block: &Block<'a>,
        terms: &mut Terms,
        notes: &mut Notes<'_>,
    ) -> Result<(), Short> {
        let mut fields = block.fields();
        let index = fields.u16_le()?;
        if index == u16::MAX {
            notes.text(NEGOTIATE_STATUS, "no common dialect");
            return Ok(());
        }
        let is_nt = block.words.len() >= NT_LM_BYTES;
        match terms.offered.get(usize::from(index)) {
            Some(dialect) => notes.text(DIALECT, dialect),
            None if is_nt => notes.text(DIALECT, NT_LM),
            None => {}
        }
        if !is_nt {
            return Ok(());
        }
        let mode = fields.u8()?;
        terms.plain = mode & 2 == 0;
        notes.text(
            SIGNING,
            match mode & 0x0c {
                0 => "disabled",
                4 => "enabled",
                _ => "required",
            },
        );
        fields.skip(16)?;
        if fields.u32_le()? & EXTENDED_SECURITY == 0 {
            return Ok(());
        }
        // The server's identifier, then the token.
        let token = block.data.get(16..).unwrap_or_default();
        if let Some(token) = gss::mechanism(token) {
            // What a server can do is no choice yet.
            for offered in token.offered {
                notes.text(gss::GSS_OFFERED, offered);
            }
        }
        Ok(())
    }

    /// TREE_CONNECT_ANDX request, MS-CIFS 2.2.4.55.1: the path stands after a password.
    pub(super) fn tree_path(&self, block: &Block<'a>) -> Result<String, Short> {
        let mut fields = block.fields();
        fields.skip(6)?;
        let password = usize::from(fields.u16_le()?);
        Ok(self.texts(block, password, 1).pop().unwrap_or_default())
    }
}

/// NEGOTIATE request, MS-CIFS 2.2.4.52.1: dialects, each after a byte 2.
pub(super) fn offer(data: &[u8], terms: &mut Terms, notes: &mut Notes<'_>) {
    terms.offered.clear();
    for dialect in data.split(|&byte| byte == 0).take(MAX_DIALECTS) {
        if let [2, dialect @ ..] = dialect {
            let dialect = String::from_utf8_lossy(dialect);
            notes.text(OFFERED, &dialect);
            terms.offered.push(dialect.into());
        }
    }
}

/// Operating system and software of a side.
fn natives(texts: &[String], notes: &mut Notes<'_>) {
    for (name, text) in [NATIVE_OS, NATIVE_LAN_MANAGER].into_iter().zip(texts) {
        notes.text(name, text);
    }
}
