//! Logical channels (H.245 annex A): what is opened and acknowledged, up to the addresses of its media.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::per::{Choice, Per};
use crate::evidence::{MediaOffer, Notes, Offered};
use crate::net::{Endpoint, Transport};

/// What one logical channel says of its addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    kind: &'static str,
    codec: &'static str,
    media: Option<Endpoint>,
    control: Option<Endpoint>,
}

impl Channel {
    pub(super) fn offer(&self, call_id: &str, notes: &mut Notes<'_>) {
        let usable = |endpoint: &Endpoint| endpoint.port != 0 && !endpoint.address.is_unspecified();
        let media = self.media.filter(usable);
        let control = self.control.filter(usable);
        let paired = |endpoint: Endpoint| {
            control
                .filter(|control| control.address == endpoint.address)
                .map(|control| control.port)
        };
        let (endpoint, profile, rtcp_port) = match (media, control) {
            (Some(media), _) => (media, "RTP/AVP", paired(media)),
            // Who opens a channel names where its reports shall go, and the other side where the media shall.
            (None, Some(control)) => (control, "RTCP", Some(control.port)),
            (None, None) => return,
        };
        let codecs = Some(self.codec).filter(|codec| !codec.is_empty());
        let offer = MediaOffer {
            media: self.kind.into(),
            profile: profile.into(),
            codecs: codecs.into_iter().map(Into::into).collect(),
            rtcp_port,
            direction: "recvonly".into(),
            keyed: false,
            call_id: call_id.into(),
        };
        notes.offer(Transport::UDP, endpoint, Offered::Media(Box::new(offer)));
    }
}

/// `OpenLogicalChannel`: the forward channel and, in fast start, a reverse one.
pub(super) fn open_channel(per: &mut Per<'_>, channels: &mut Vec<Channel>) -> Option<()> {
    let (is_extended, has_reverse) = (per.flag()?, per.flag()?);
    let _number = per.number(0xffff)?;
    let (is_forward_extended, has_port) = (per.flag()?, per.flag()?);
    if has_port {
        per.number(0x1_0000)?;
    }
    let kind = data_type(per)?;
    match per.choice(3)? {
        Choice::Extension(0, inside) => channels.extend(parameters(inside, kind)?),
        Choice::Extension(..) => {}
        Choice::Root(_) => return None,
    }
    per.skip_additions(is_forward_extended)?;
    if has_reverse {
        let (is_reverse_extended, has_parameters) = (per.flag()?, per.flag()?);
        let kind = data_type(per)?;
        if has_parameters {
            match per.choice(2)? {
                Choice::Extension(0, inside) => channels.extend(parameters(inside, kind)?),
                Choice::Extension(..) => {}
                Choice::Root(_) => return None,
            }
        }
        per.skip_additions(is_reverse_extended)?;
    }
    per.skip_additions(is_extended)
}

/// Kind of media, and the codec where RTP has a number for it.
type Kind = (&'static str, &'static str);

fn data_type(per: &mut Per<'_>) -> Option<Kind> {
    match per.choice(6)? {
        Choice::Root(1) => Some(("", "")),
        Choice::Root(2) => video(per).map(|()| ("video", "")),
        Choice::Root(3) => audio(per).map(|codec| ("audio", codec)),
        Choice::Root(_) => None,
        Choice::Extension(..) => Some(("media", "")),
    }
}

fn audio(per: &mut Per<'_>) -> Option<&'static str> {
    let index = match per.choice(14)? {
        Choice::Root(index) => index,
        Choice::Extension(..) => return Some(""),
    };
    let codec = match index {
        1 => "8 PCMA/8000",
        3 => "0 PCMU/8000",
        5 => "9 G722/8000",
        8 => {
            per.number(256)?;
            per.flag()?;
            return Some("4 G723/8000");
        }
        9 => "15 G728/8000",
        10 | 11 => "18 G729/8000",
        2 | 4 | 6 | 7 => "",
        _ => return None,
    };
    per.number(256)?;
    Some(codec)
}

/// `H261VideoCapability`, `H263VideoCapability` and all additions, H.264 among them; the others are not in use.
fn video(per: &mut Per<'_>) -> Option<()> {
    match per.choice(5)? {
        Choice::Root(1) => {
            let is_extended = per.flag()?;
            let intervals = [per.flag()?, per.flag()?];
            for _ in intervals.iter().filter(|is_there| **is_there) {
                per.number(4)?;
            }
            per.flag()?;
            per.number(19_200)?;
            per.flag()?;
            per.skip_additions(is_extended)
        }
        Choice::Root(3) => {
            let is_extended = per.flag()?;
            let optional = per.bits(7)?;
            for _ in 0..(optional >> 2).count_ones() {
                per.number(32)?;
            }
            per.number(192_400)?;
            per.bits(5)?;
            if optional & 2 != 0 {
                per.number(524_288)?;
            }
            if optional & 1 != 0 {
                per.number(0x1_0000)?;
            }
            per.skip_additions(is_extended)
        }
        Choice::Root(_) => None,
        Choice::Extension(..) => Some(()),
    }
}

/// `H2250LogicalChannelParameters`, up to the addresses.
fn parameters(mut per: Per<'_>, (kind, codec): Kind) -> Option<Option<Channel>> {
    let _is_extended = per.flag()?;
    let has = |optional: u32, index: u32| optional & (1 << (9 - index)) != 0;
    let optional = per.bits(10)?;
    if has(optional, 0) {
        return None;
    }
    let _session = per.number(256)?;
    if has(optional, 1) {
        per.number(255)?;
    }
    let media = optional_address(&mut per, has(optional, 2))?;
    if has(optional, 3) {
        per.flag()?;
    }
    let control = optional_address(&mut per, has(optional, 4))?;
    Some((media.is_some() || control.is_some()).then_some(Channel {
        kind,
        codec,
        media,
        control,
    }))
}

/// `OpenLogicalChannelAck`: where the other side shall send to. Channels of two directions are not read.
pub(super) fn acknowledgement(per: &mut Per<'_>, channels: &mut Vec<Channel>) -> Option<()> {
    let (is_extended, has_reverse) = (per.flag()?, per.flag()?);
    if has_reverse {
        return None;
    }
    let _number = per.number(0xffff)?;
    if !is_extended {
        return Some(());
    }
    for (index, mut inside) in per.additions()? {
        if index == 1
            && let Choice::Root(0) = inside.choice(1)?
        {
            channels.extend(acknowledged(inside)?);
        }
    }
    Some(())
}

/// `H2250LogicalChannelAckParameters`, up to the addresses.
fn acknowledged(mut per: Per<'_>) -> Option<Option<Channel>> {
    let _is_extended = per.flag()?;
    let [
        non_standard,
        has_session,
        has_media,
        has_control,
        _payload_type,
    ] = [
        per.flag()?,
        per.flag()?,
        per.flag()?,
        per.flag()?,
        per.flag()?,
    ];
    if non_standard {
        return None;
    }
    // Sessions 1 and 2 are the first audio and the first video of a call (H.245 section B.3.1).
    let kind = match has_session.then(|| per.number(255)) {
        Some(session) => match session? {
            0 => "audio",
            1 => "video",
            _ => "media",
        },
        None => "media",
    };
    let media = optional_address(&mut per, has_media)?;
    let control = optional_address(&mut per, has_control)?;
    Some((media.is_some() || control.is_some()).then_some(Channel {
        kind,
        codec: "",
        media,
        control,
    }))
}

fn optional_address(per: &mut Per<'_>, is_there: bool) -> Option<Option<Endpoint>> {
    match is_there {
        true => address(per).map(Some),
        false => Some(None),
    }
}

/// `TransportAddress`: IPv4 and IPv6, unicast and multicast; no other is in use.
fn address(per: &mut Per<'_>) -> Option<Endpoint> {
    let is_ipv6 = match per.choice(2)? {
        Choice::Root(0) => match per.choice(5)? {
            Choice::Root(0) => false,
            Choice::Root(2) => true,
            Choice::Root(_) | Choice::Extension(..) => return None,
        },
        Choice::Root(_) => match per.choice(2)? {
            Choice::Root(index) => index == 1,
            Choice::Extension(..) => return None,
        },
        Choice::Extension(..) => return None,
    };
    let is_extended = per.flag()?;
    let address: IpAddr = match is_ipv6 {
        true => Ipv6Addr::from(*per.array::<16>()?).into(),
        false => Ipv4Addr::from(*per.array::<4>()?).into(),
    };
    let port = u16::try_from(per.number(0x1_0000)?).ok()?;
    per.skip_additions(is_extended)?;
    Some(Endpoint::new(address, port))
}
