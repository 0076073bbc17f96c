//! Discovery of Dropbox's LAN synchronization: clients announce themselves in a JSON object.
//!
//! Unpublished; the members that every announcement has are the proof. Names and identities of hosts are not kept.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::evidence::Notes;

/// Version of the discovery: `2.0`.
const VERSION: &str = "version";
/// Port of TCP on which the sender serves files.
const PORT: &str = "port";

/// Dropbox LAN synchronization.
pub(super) const DB_LSP_DISC: Protocol = Protocol {
    name: "db_lsp_disc",
    about: About {
        title: "Dropbox LAN sync discovery",
        sources: "Unpublished; as observed",
        reads: "Version and port.",
        proves: "A JSON object with the members host_int, version, displayname, port and namespaces.",
        limits: "Identities of hosts and namespaces are not kept; the transfer itself is TLS.",
    },
    attributes: &[VERSION, PORT],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte == b'{',
        start: || Box::new(Discovery),
    }),
};

/// The members, as far as they are read.
#[derive(serde::Deserialize)]
struct Announcement {
    #[serde(rename = "host_int")]
    _host: serde_json::Number,
    version: (u64, u64),
    #[serde(rename = "displayname")]
    _name: String,
    port: u16,
    #[serde(rename = "namespaces")]
    _namespaces: Vec<serde_json::Number>,
}

struct Discovery;

impl DatagramDecoder for Discovery {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        if datagram.is_cut() {
            // The object is not whole, but no other begins so.
            if !datagram.bytes.starts_with(b"{\"host_int\": ") {
                return Err(Reject::Other);
            }
            notes.proved();
            return Ok(());
        }
        let announcement: Announcement =
            serde_json::from_slice(datagram.bytes).map_err(|_| Reject::Other)?;
        notes.proved();
        let (major, minor) = announcement.version;
        notes.text(VERSION, &format!("{major}.{minor}"));
        notes.number(PORT, announcement.port.into());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, cut_datagram, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    const ANNOUNCEMENT: &[u8] = br#"{"host_int": 123456789012345678901, "version": [2, 0], "displayname": "", "port": 17500, "namespaces": [1, 22]}"#;

    #[test]
    fn an_announcement_shows_version_and_port() {
        let recorder = datagrams(&[(CLIENT, ANNOUNCEMENT)]);
        assert_eq!(protocols(&recorder), ["db_lsp_disc"]);
        assert_eq!(values(&recorder, "db_lsp_disc", "version"), ["2.0"]);
        assert_eq!(values(&recorder, "db_lsp_disc", "port"), ["17500"]);
        only_registered_attributes(&recorder, &[&DB_LSP_DISC]);
    }

    #[test]
    fn other_objects_and_parts_prove_nothing() {
        for bytes in [
            &br#"{"port": 1, "version": [2, 0]}"#[..],
            b"{}",
            b"{\"host_int\": 1}",
        ] {
            assert!(protocols(&datagrams(&[(CLIENT, bytes)])).is_empty());
        }
        for length in 0..ANNOUNCEMENT.len() {
            let part = &ANNOUNCEMENT[..length];
            assert!(protocols(&datagrams(&[(CLIENT, part)])).is_empty());
        }
    }

    #[test]
    fn a_cut_announcement_is_still_one() {
        let recorder = cut_datagram(&ANNOUNCEMENT[..40], ANNOUNCEMENT.len());
        assert_eq!(protocols(&recorder), ["db_lsp_disc"]);
    }
}
