//! Types that the messages of H.225.0 share (annex H of the recommendation), in aligned PER: addresses are read, all others
//! are passed over. `None` where a form is not in use; nothing after it can be read then.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::net::Endpoint;
use crate::protocol::per::{Choice, Per};

/// Object identifier of H.225.0 but for its version: {itu-t recommendation h 2250 version}.
const IDENTIFIER: [u8; 5] = [0, 8, 0x91, 0x4a, 0];

/// `ProtocolIdentifier`: the version of H.225.0.
pub(super) fn version(per: &mut Per<'_>) -> Option<u8> {
    match per.string()?.strip_prefix(&IDENTIFIER)? {
        [version] => Some(*version),
        _ => None,
    }
}

/// `TransportAddress`, where it is one of IP.
pub(super) fn address(per: &mut Per<'_>) -> Option<Endpoint> {
    let index = match per.choice(7)? {
        Choice::Root(index) => index,
        Choice::Extension(..) => return None,
    };
    let (address, is_extended): (IpAddr, bool) = match index {
        0 => (Ipv4Addr::from(*per.array::<4>()?).into(), false),
        3 => {
            let is_extended = per.flag()?;
            (Ipv6Addr::from(*per.array::<16>()?).into(), is_extended)
        }
        _ => return None,
    };
    let port = u16::try_from(per.number(0x1_0000)?).ok()?;
    per.skip_additions(is_extended)?;
    Some(Endpoint::new(address, port))
}

/// A list of addresses.
pub(super) fn addresses(per: &mut Per<'_>) -> Option<Vec<Endpoint>> {
    let count = per.length()?;
    (0..count).map(|_| address(per)).collect()
}

/// A list of `AliasAddress`: names and numbers of persons.
pub(super) fn skip_aliases(per: &mut Per<'_>) -> Option<()> {
    let count = per.length()?;
    for _ in 0..count {
        match per.choice(2)? {
            // Up to 128 digits of an alphabet of 13: four bits each.
            Choice::Root(0) => {
                let digits = per.number(128)?.checked_add(1)?;
                per.octets(0)?;
                per.skip_bits(digits.checked_mul(4)?)?;
            }
            // Up to 256 characters of two octets.
            Choice::Root(_) => {
                let characters = usize::try_from(per.number(256)?).ok()?.checked_add(1)?;
                per.octets(characters.checked_mul(2)?)?;
            }
            Choice::Extension(..) => {}
        }
    }
    Some(())
}

/// `EndpointType`.
pub(super) fn skip_endpoint_type(per: &mut Per<'_>) -> Option<()> {
    let is_extended = per.flag()?;
    let [non_standard, vendor, gatekeeper, gateway, mcu, terminal] = [
        per.flag()?,
        per.flag()?,
        per.flag()?,
        per.flag()?,
        per.flag()?,
        per.flag()?,
    ];
    if non_standard {
        skip_non_standard(per)?;
    }
    if vendor {
        skip_vendor(per)?;
    }
    if gatekeeper {
        skip_information(per)?;
    }
    if gateway {
        skip_gateway(per)?;
    }
    if mcu {
        skip_information(per)?;
    }
    if terminal {
        skip_information(per)?;
    }
    // Multipoint controller; not yet defined.
    per.bits(2)?;
    per.skip_additions(is_extended)
}

/// `GatekeeperInfo`, `McuInfo`, `TerminalInfo` and the capabilities of a gateway: non-standard data and additions.
fn skip_information(per: &mut Per<'_>) -> Option<()> {
    let (is_extended, non_standard) = (per.flag()?, per.flag()?);
    if non_standard {
        skip_non_standard(per)?;
    }
    per.skip_additions(is_extended)
}

fn skip_gateway(per: &mut Per<'_>) -> Option<()> {
    let (is_extended, protocols, non_standard) = (per.flag()?, per.flag()?, per.flag()?);
    if protocols {
        let count = per.length()?;
        for _ in 0..count {
            match per.choice(9)? {
                Choice::Root(0) => skip_non_standard(per)?,
                Choice::Root(_) => skip_information(per)?,
                Choice::Extension(..) => {}
            }
        }
    }
    if non_standard {
        skip_non_standard(per)?;
    }
    per.skip_additions(is_extended)
}

/// `VendorIdentifier`: make, product and version.
fn skip_vendor(per: &mut Per<'_>) -> Option<()> {
    let (is_extended, product, version) = (per.flag()?, per.flag()?, per.flag()?);
    skip_make(per)?;
    for _ in 0..u8::from(product).saturating_add(u8::from(version)) {
        let length = usize::try_from(per.number(256)?).ok()?.checked_add(1)?;
        per.octets(length)?;
    }
    per.skip_additions(is_extended)
}

/// `H221NonStandard`.
fn skip_make(per: &mut Per<'_>) -> Option<()> {
    let is_extended = per.flag()?;
    let _country = (per.number(256)?, per.number(256)?);
    let _manufacturer = per.number(0x1_0000)?;
    per.skip_additions(is_extended)
}

/// `NonStandardParameter`.
pub(super) fn skip_non_standard(per: &mut Per<'_>) -> Option<()> {
    match per.choice(2)? {
        Choice::Root(0) => per.string().map(drop)?,
        Choice::Root(_) => skip_make(per)?,
        Choice::Extension(..) => {}
    }
    per.string().map(drop)
}
