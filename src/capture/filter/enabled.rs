//! Filters compiled and run by libpcap, one program per link type.

use pcap::{BpfProgram, Capture, Linktype};

use super::super::block::Block;
use super::super::error::CaptureError;
use crate::net::LinkType;

/// A filter expression and its programs.
pub(in super::super) struct Filter {
    expression: String,
    programs: Vec<(LinkType, BpfProgram)>,
}

impl Filter {
    /// Takes an expression. It is compiled with the first packet of each link type, because its meaning depends on it.
    pub(in super::super) fn new(expression: &str) -> Result<Self, CaptureError> {
        Ok(Self {
            expression: expression.to_owned(),
            programs: Vec::new(),
        })
    }

    /// Removes the packets that the expression rejects.
    ///
    /// # Errors
    /// When the expression has no meaning for a link type in the block; the block is empty then.
    pub(in super::super) fn apply(&mut self, block: &mut Block) -> Result<(), CaptureError> {
        for packet in &block.packets {
            if !self.programs.iter().any(|(link, _)| *link == packet.link) {
                match self.compile(packet.link) {
                    Ok(program) => self.programs.push((packet.link, program)),
                    Err(error) => {
                        block.clear();
                        return Err(error);
                    }
                }
            }
        }
        let Block { bytes, packets, .. } = block;
        packets.retain(|packet| {
            let program = self.programs.iter().find(|(link, _)| *link == packet.link);
            program.is_some_and(|(_, program)| program.filter(packet.bytes(bytes)))
        });
        Ok(())
    }

    fn compile(&self, link: LinkType) -> Result<BpfProgram, CaptureError> {
        Capture::dead(Linktype(dlt(link)))
            .and_then(|capture| capture.compile(&self.expression, true))
            .map_err(|error| CaptureError::Filter {
                expression: self.expression.clone(),
                link: link.0,
                message: match error {
                    pcap::Error::PcapError(message) => message,
                    other => other.to_string(),
                },
            })
    }
}

/// libpcap compiles for a DLT, which for a few old link types is not the number that files hold (libpcap
/// pcap-common.c); raw IP's is 14 on OpenBSD.
fn dlt(link: LinkType) -> i32 {
    const ATM_RFC1483: LinkType = LinkType(100);
    let raw = if cfg!(target_os = "openbsd") { 14 } else { 12 };
    match link {
        LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_OPENBSD => raw,
        ATM_RFC1483 => 11,
        LinkType(number) => i32::from(number),
    }
}
