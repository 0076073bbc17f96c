//! Overlays in UDP: VXLAN (RFC 7348), its form with protocol type, and GENEVE (RFC 8926).

use super::dissector::Next;
use super::ethernet::{self, u24};
use super::udp::Carried;
use super::window::Window;
use super::{Layer, Tunnel, ip};

/// The flag that says that the network id is valid.
const NETWORK_ID: u8 = 0x08;
/// The flag that says that a group policy is (draft-smith-vxlan-group-policy).
const GROUP_POLICY: u8 = 0x80;

/// RFC 7348 §5. Of the reserved bytes, two are the group policy of a well-known extension; the last one is zero.
pub(super) fn carried(mut window: Window<'_>) -> Option<Carried> {
    let header = *window.array::<8>(Layer::Udp).ok()?;
    let [flags, _, _, _, id @ .., reserved] = header;
    let valid = flags & !GROUP_POLICY == NETWORK_ID && reserved == 0;
    (valid && ethernet::plausible(window)).then(|| Carried {
        tunnel: Some(Tunnel::Vxlan(u24(id))),
        header_len: 8,
        next: Next::Ethernet,
    })
}

/// draft-ietf-nvo3-vxlan-gpe §3: flag P, next protocol.
pub(super) fn generic_carried(mut window: Window<'_>) -> Option<Carried> {
    let header = *window.array::<8>(Layer::Udp).ok()?;
    let [flags, 0, 0, protocol, id @ .., 0] = header else {
        return None;
    };
    // Version 0, network id and protocol valid; the other flags mark operations and broadcast.
    if flags & 0x3c != 0x0c {
        return None;
    }
    let (next, plausible) = match protocol {
        1 | 2 => (Next::Ip, ip::plausible(window)),
        3 => (Next::Ethernet, ethernet::plausible(window)),
        4 => (Next::EtherType(0x894f), service_chain(window)),
        _ => return None,
    };
    plausible.then(|| Carried {
        tunnel: Some(Tunnel::VxlanGpe(u24(id))),
        header_len: 8,
        next,
    })
}

/// A service function header with an IP packet or Ethernet frame behind it (RFC 8300 §2).
fn service_chain(mut window: Window<'_>) -> bool {
    let Ok(&[_, length, _, protocol]) = window.array(Layer::Nsh) else {
        return false;
    };
    let rest = usize::from(length & 0x3f).saturating_mul(4).checked_sub(4);
    rest.is_some_and(|rest| window.skip(rest, Layer::Nsh).is_ok())
        && match protocol {
            1 | 2 => ip::plausible(window),
            3 => ethernet::plausible(window),
            _ => false,
        }
}

/// RFC 8926 §3.4: version 0, options in words, protocol type, network id.
pub(super) fn geneve_carried(mut window: Window<'_>) -> Option<Carried> {
    let header = *window.array::<8>(Layer::Udp).ok()?;
    let [version_and_length, flags, high, low, id @ .., 0] = header else {
        return None;
    };
    if version_and_length >> 6 != 0 || flags & 0x3f != 0 {
        return None;
    }
    let options = usize::from(version_and_length & 0x3f).saturating_mul(4);
    window.skip(options, Layer::Udp).ok()?;
    let kind = u16::from_be_bytes([high, low]);
    let plausible = match kind {
        0x6558 => ethernet::plausible(window),
        0x0800 | 0x86dd => ip::plausible(window),
        _ => false,
    };
    plausible.then(|| Carried {
        tunnel: Some(Tunnel::Geneve(u24(id))),
        header_len: options.saturating_add(8),
        next: Next::EtherType(kind),
    })
}
