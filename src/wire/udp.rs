//! UDP (RFC 768), the tunnels inside it, and the ports of transports that look like it.

use etherparse::{UdpHeader, UdpHeaderSlice};

use super::checksum;
use super::dissector::{Next, Step, Walk};
use super::window::Window;
use super::{
    Checksum, Layer, Reason, Stop, TransportHeader, Tunnel, capwap, gtp, l2tp, mpls, teredo, vxlan,
};
use crate::net::Endpoint;

/// A tunnel that a datagram carries.
pub(super) struct Carried {
    pub(super) tunnel: Option<Tunnel>,
    /// Bytes of tunnel header before what is carried.
    pub(super) header_len: usize,
    pub(super) next: Next,
}

/// From the source port on.
pub(super) fn datagram(walk: &mut Walk<'_>) -> Step {
    let whole = walk.window;
    let header: UdpHeaderSlice<'_> = match walk.window.header(Layer::Udp) {
        Ok(header) => header,
        Err(stop) => return ports_and_stop(walk, stop),
    };
    let (source_port, destination_port) = (header.source_port(), header.destination_port());
    let length = usize::from(header.length());
    let mut checkable = !whole.is_cut() && walk.checkable;
    match length.checked_sub(UdpHeader::LEN) {
        Some(payload_len) => {
            if !walk.headless && payload_len > walk.window.wire() {
                // The IP header knows better: what it holds is what there is.
                walk.note(Layer::Udp, Reason::BeyondFrame);
                checkable = false;
            } else {
                walk.window.set_wire(payload_len);
            }
        }
        // A jumbogram (RFC 2675 §4), or a length left to the network card.
        None if length == 0 => checkable = false,
        None => {
            walk.note(Layer::Udp, Reason::Length);
            checkable = false;
        }
    }
    walk.deliver(TransportHeader::Udp {
        source_port,
        destination_port,
    });
    if walk.verify_checksums {
        let stored = header.checksum();
        walk.layers.checksums.transport = match (walk.layers.network, whole.bytes().get(..length)) {
            (Some(network), Some(segment)) if checkable && stored != 0 => {
                checksum::of_segment(&network, segment, stored)
            }
            _ => Checksum::Unverifiable,
        };
    }
    match tunnel(walk.window, destination_port).or_else(|| tunnel(walk.window, source_port)) {
        None => Ok(Next::Done),
        Some(carried) => {
            walk.layers.carrier = walk.layers.network.map(|network| {
                let (source, destination) = (network.source, network.destination);
                (
                    Endpoint::new(source, source_port),
                    Endpoint::new(destination, destination_port),
                )
            });
            // What is carried has ends of its own, or none: ARP in an overlay is no datagram between its switches.
            walk.layers.network = None;
            walk.layers.transport = None;
            if let Some(tunnel) = carried.tunnel {
                walk.enter(tunnel)?;
            }
            walk.window.skip(carried.header_len, Layer::Udp)?;
            Ok(carried.next)
        }
    }
}

/// The tunnel that is registered for a port, where the payload reads as that tunnel down to its inner IP header.
fn tunnel(window: Window<'_>, port: u16) -> Option<Carried> {
    reader(port)?(window)
}

/// Whether a tunnel is registered for a port.
pub(super) fn may_be_tunnel(port: u16) -> bool {
    reader(port).is_some()
}

type Reader = fn(Window<'_>) -> Option<Carried>;

/// What reads the tunnel of a port.
fn reader(port: u16) -> Option<Reader> {
    Some(match port {
        4789 | 8472 => vxlan::carried,
        4790 => vxlan::generic_carried,
        6081 => vxlan::geneve_carried,
        2152 => gtp::carried,
        3544 => teredo::carried,
        1701 => l2tp::carried,
        5247 => capwap::carried,
        6635 => mpls_carried,
        _ => return None,
    })
}

fn mpls_carried(window: Window<'_>) -> Option<Carried> {
    mpls::plausible(window).then_some(Carried {
        tunnel: None,
        header_len: 0,
        next: Next::Mpls,
    })
}

/// SCTP (RFC 9260 §3.1), UDP-Lite (RFC 3828), DCCP (RFC 4340 §5.1): only the ports are read.
pub(super) fn ports_only(walk: &mut Walk<'_>) -> Step {
    let [s0, s1, d0, d1] = *walk.window.array::<4>(Layer::Sctp)?;
    walk.deliver(TransportHeader::Ports {
        source_port: u16::from_be_bytes([s0, s1]),
        destination_port: u16::from_be_bytes([d0, d1]),
    });
    Ok(Next::Done)
}

/// Keeps the ports of a header of which the rest is missing, and says why it is.
pub(super) fn ports_and_stop(walk: &mut Walk<'_>, stop: Stop) -> Step {
    if let Some(&[s0, s1, d0, d1]) = walk.window.bytes().first_chunk() {
        walk.layers.transport = Some(TransportHeader::Ports {
            source_port: u16::from_be_bytes([s0, s1]),
            destination_port: u16::from_be_bytes([d0, d1]),
        });
    }
    Err(stop)
}
