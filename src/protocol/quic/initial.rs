//! Protection of Initial packets: keys that follow from the client's first Destination Connection ID (RFC 9001 §5.2).

use ring::aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey, quic};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

use super::header::Version;
use crate::bytes::Cursor;
use crate::net::Side;

/// RFC 9001 §5.2; drafts 33 and 34 have it as well.
const SALT_V1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad,
    0xcc, 0xbb, 0x7f, 0x0a,
];
/// RFC 9369 §3.3.1.
const SALT_V2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb,
    0xf9, 0xbd, 0x2e, 0xd9,
];
/// draft-ietf-quic-tls-29 to -32, section 5.2.
const SALT_DRAFT_29: [u8; 20] = [
    0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0,
    0x43, 0x90, 0xa8, 0x99,
];

/// Bytes behind the start of the packet number at which the sample for header protection starts (RFC 9001 §5.4.2).
const SAMPLE_OFFSET: usize = 4;
/// Bytes of the sample.
const SAMPLE: usize = 16;

fn salt(version: Version) -> Option<&'static [u8; 20]> {
    match (version, version.draft()) {
        (Version::V1, _) | (_, Some(33..)) => Some(&SALT_V1),
        (Version::V2, _) => Some(&SALT_V2),
        (_, Some(29..=32)) => Some(&SALT_DRAFT_29),
        _ => None,
    }
}

/// Keys of both directions of one connection.
pub(super) struct Keys {
    /// Whose first packet they come from.
    pub(super) client: Side,
    version: Version,
    /// The Destination Connection ID of that packet.
    destination: Box<[u8]>,
    of_client: PacketKeys,
    of_server: PacketKeys,
}

impl Keys {
    /// The keys that follow from `destination`, the Destination Connection ID of the first packet of `client`. `None` for
    /// a version whose salt is not known.
    pub(super) fn derive(version: Version, destination: &[u8], client: Side) -> Option<Self> {
        let initial = Salt::new(HKDF_SHA256, salt(version)?).extract(destination);
        let keys = |label: &[u8]| {
            let info = Info::new(label, 32);
            let secret: Prk = initial.expand(&info.parts(label), HKDF_SHA256).ok()?.into();
            PacketKeys::derive(&secret, version)
        };
        Some(Self {
            client,
            version,
            destination: destination.into(),
            of_client: keys(b"client in")?,
            of_server: keys(b"server in")?,
        })
    }

    /// The keys of the same connection in `version`, to which the server may change (RFC 9369 §4.1).
    pub(super) fn in_version(self, version: Version) -> Option<Self> {
        if self.version == version {
            return Some(self);
        }
        Self::derive(version, &self.destination, self.client)
    }

    /// The frames of a whole packet that `side` sent, whose packet number starts at `start`; `None` where it is not under
    /// these keys.
    pub(super) fn open(&self, side: Side, packet: &[u8], start: usize) -> Option<Vec<u8>> {
        if side == self.client {
            self.of_client.open(packet, start)
        } else {
            self.of_server.open(packet, start)
        }
    }
}

/// Keys of one direction (RFC 9001 §5.1).
struct PacketKeys {
    packet: LessSafeKey,
    nonce: [u8; NONCE_LEN],
    header: quic::HeaderProtectionKey,
}

impl PacketKeys {
    fn derive(secret: &Prk, version: Version) -> Option<Self> {
        let [key, iv, hp]: [&[u8]; 3] = match version {
            Version::V2 => [b"quicv2 key", b"quicv2 iv", b"quicv2 hp"],
            _ => [b"quic key", b"quic iv", b"quic hp"],
        };
        let packet = Info::new(key, 16);
        let packet: UnboundKey = secret
            .expand(&packet.parts(key), &aead::AES_128_GCM)
            .ok()?
            .into();
        let header = Info::new(hp, 16);
        let header = secret
            .expand(&header.parts(hp), &quic::AES_128)
            .ok()?
            .into();
        let mut nonce = [0; NONCE_LEN];
        let info = Info::new(iv, 12);
        secret
            .expand(&info.parts(iv), NonceLength)
            .ok()?
            .fill(&mut nonce)
            .ok()?;
        Some(Self {
            packet: LessSafeKey::new(packet),
            nonce,
            header,
        })
    }

    /// Takes header protection off (RFC 9001 §5.4.1), and opens the packet (§5.3).
    fn open(&self, packet: &[u8], start: usize) -> Option<Vec<u8>> {
        let (head, protected) = packet.split_at_checked(start)?;
        let mut cursor = Cursor::new(protected);
        cursor.skip(SAMPLE_OFFSET).ok()?;
        let [first_mask, number_mask @ ..] =
            self.header.new_mask(cursor.take(SAMPLE).ok()?).ok()?;
        let mut header = head.to_vec();
        let first = header.first_mut()?;
        *first ^= first_mask & 0x0f;
        let number_bytes = usize::from(*first & 3).saturating_add(1);
        let (number, sealed) = protected.split_at_checked(number_bytes)?;
        let number = number
            .iter()
            .zip(number_mask)
            .map(|(byte, mask)| byte ^ mask);
        header.extend(number.clone());
        let mut nonce = self.nonce;
        // The few packets of a handshake have numbers that are not shortened yet.
        for (byte, number) in nonce.iter_mut().rev().zip(number.rev()) {
            *byte ^= number;
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        let mut payload = sealed.to_vec();
        let length = self
            .packet
            .open_in_place(nonce, Aad::from(&header), &mut payload)
            .ok()?
            .len();
        payload.truncate(length);
        Some(payload)
    }
}

/// What tells keys of one secret from each other: `HkdfLabel` of RFC 8446 §7.1 with an empty context.
struct Info {
    lengths: [u8; 3],
}

impl Info {
    const PREFIX: &'static [u8] = b"tls13 ";

    fn new(label: &[u8], output_bytes: u8) -> Self {
        let label_bytes = Self::PREFIX.len().saturating_add(label.len());
        Self {
            lengths: [
                0,
                output_bytes,
                u8::try_from(label_bytes).unwrap_or(u8::MAX),
            ],
        }
    }

    const fn parts<'a>(&'a self, label: &'a [u8]) -> [&'a [u8]; 4] {
        [&self.lengths, Self::PREFIX, label, &[0]]
    }
}

struct NonceLength;

impl KeyType for NonceLength {
    fn len(&self) -> usize {
        NONCE_LEN
    }
}

#[cfg(test)]
impl Keys {
    /// Protects an Initial packet as `side` would: `header` ends before the packet number, which has two bytes.
    pub(super) fn seal(&self, side: Side, header: &[u8], number: u8, frames: &[u8]) -> Vec<u8> {
        let keys = if side == self.client {
            &self.of_client
        } else {
            &self.of_server
        };
        let mut packet = header.to_vec();
        packet[0] |= 1;
        packet.extend([0, number]);
        let mut nonce = keys.nonce;
        nonce[NONCE_LEN - 1] ^= number;
        let mut payload = frames.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        keys.packet
            .seal_in_place_append_tag(nonce, Aad::from(&packet), &mut payload)
            .unwrap();
        packet.extend(payload);
        let sample = header.len() + SAMPLE_OFFSET;
        let mask = keys
            .header
            .new_mask(&packet[sample..sample + SAMPLE])
            .unwrap();
        packet[0] ^= mask[0] & 0x0f;
        packet[header.len()] ^= mask[1];
        packet[header.len() + 1] ^= mask[2];
        packet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_published_example() {
        // RFC 9001 appendix A.2 and A.3: masks for the samples of both packets.
        let id = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
        let keys = Keys::derive(Version::V1, &id, Side::A).unwrap();
        let mask =
            |keys: &PacketKeys, sample: u128| keys.header.new_mask(&sample.to_be_bytes()).unwrap();
        assert_eq!(
            mask(&keys.of_client, 0xd1b1c98dd7689fb8ec11d242b123dc9b),
            [0x43, 0x7b, 0x9a, 0xec, 0x36]
        );
        assert_eq!(
            mask(&keys.of_server, 0x2cd0991cd25b0aac406a5816b6394100),
            [0x2e, 0xc0, 0xd8, 0x35, 0x6a]
        );
        assert!(Keys::derive(Version(0xff00_001c), &id, Side::A).is_none());
    }
}
