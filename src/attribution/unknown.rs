//! A flow whose payload no decoder could name, in a few words: how each side began, what the bytes look like, and how the
//! sides took turns. A start for a person, and never evidence for a service.

use super::Flows;
use super::flow::{Flow, Sight};
use crate::evidence::Peek;
use crate::net::Side;

/// Bytes shown of how a side began.
const SHOWN_BYTES: usize = 16;
/// Bytes of a side that are needed before their evenness says anything.
const MIN_BYTES_TO_WEIGH: usize = 64;
/// Share of what random bytes would have, from which on bytes count as noise: 64 random bytes stay above .96 in all but one of ten
/// thousand cases, headers and tables of numbers below .9.
const NOISE: f64 = 0.955;
/// Turns shown of the exchange.
const SHOWN_TURNS: usize = 4;

/// What the bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Text,
    Noise,
    Binary,
    /// Too few bytes to say.
    Short,
}

impl Look {
    fn of(bytes: &[u8]) -> Self {
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n');
        if bytes.len() >= 4 && bytes.iter().all(is_plain) {
            Self::Text
        } else if bytes.len() < MIN_BYTES_TO_WEIGH {
            Self::Short
        } else if entropy(bytes) >= NOISE * entropy_of_noise(bytes.len()) {
            Self::Noise
        } else {
            Self::Binary
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Text => ", plain text of no known protocol",
            Self::Noise => ", encrypted or compressed by its look",
            Self::Binary => ", binary of no known protocol",
            Self::Short => "",
        }
    }
}

/// Sentences on the first payload of a flow without a proven protocol; none where there was no payload.
pub(super) fn describe(flow: &Flow, flows: &Flows) -> Vec<String> {
    let mut sentences = Vec::new();
    for (side, who) in [
        (flow.client, "the client"),
        (flow.client.other(), "the server"),
    ] {
        let mut of_side = flow.payload.iter().filter(|(peek, _)| peek.side == side);
        let Some((first, tap)) = of_side.next() else {
            continue;
        };
        let mut bytes = first.bytes.to_vec();
        bytes.extend(of_side.flat_map(|(peek, _)| peek.bytes.iter()));
        let sight = Sight {
            seen: first.seen,
            tap: *tap,
        };
        sentences.push(format!(
            "{}: {who} began with {}{}",
            flows.frame(sight),
            shown(&first.bytes),
            Look::of(&bytes).words()
        ));
    }
    let turns = turns(flow.payload.iter().map(|(peek, _)| peek), flow.client);
    if turns.len() > 1 {
        sentences.push(format!("payload in turns: {}", turns.join(", ")));
    }
    sentences
}

/// The first bytes in hexadecimal, and as text where they can be shown.
fn shown(bytes: &[u8]) -> String {
    let bytes = bytes.get(..SHOWN_BYTES).unwrap_or(bytes);
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let text: String = bytes
        .iter()
        .map(|&byte| match byte {
            b' '..=b'~' => char::from(byte),
            _ => '.',
        })
        .collect();
    format!("{} `{text}`", hex.join(" "))
}

/// Who sent how much before the other side spoke.
fn turns<'a>(peeks: impl Iterator<Item = &'a Peek>, client: Side) -> Vec<String> {
    let mut turns: Vec<(Side, u64)> = Vec::new();
    for peek in peeks {
        match turns.last_mut() {
            Some((side, bytes)) if *side == peek.side => {
                *bytes = bytes.saturating_add(u64::from(peek.length));
            }
            _ => turns.push((peek.side, u64::from(peek.length))),
        }
    }
    turns.truncate(SHOWN_TURNS);
    turns
        .into_iter()
        .map(|(side, bytes)| {
            let who = if side == client { "client" } else { "server" };
            format!("{who} {bytes} bytes")
        })
        .collect()
}

/// Shannon entropy in bits a byte.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for &byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count = count.saturating_add(1);
        }
    }
    let all = bytes.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|&count| {
            let share = f64::from(count) / all;
            -share * share.log2()
        })
        .sum()
}

/// What `count` random bytes have on average: the expectation of `-p log2 p` over a binomial count for each of 256 values,
/// summed; counts above 16 have no weight for the few hundred bytes that are kept.
fn entropy_of_noise(count: usize) -> f64 {
    let all = count as f64;
    let hit: f64 = 1.0 / 256.0;
    // The chance of no hit, and from it that of each next count.
    let mut chance = (1.0 - hit).powf(all);
    let mut sum = 0.0;
    for hits in 1..=16_u32 {
        let number = f64::from(hits);
        chance *= (all - number + 1.0).max(0.0) / number * hit / (1.0 - hit);
        let share = number / all;
        if share < 1.0 {
            sum -= chance * share * share.log2();
        }
    }
    sum * 256.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Seen;
    use crate::net::Timestamp;

    /// Bytes of a good generator (xorshift64*), as a cipher's output looks.
    fn noise(seed: u64, count: usize) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn noise_text_and_structure_are_told_apart() {
        for seed in 1..=200 {
            for count in [64, 100, 128, 256, 384] {
                assert_eq!(Look::of(&noise(seed, count)), Look::Noise, "{seed} {count}");
            }
        }
        assert_eq!(Look::of(b"HELLO mail.example.com v2\r\n"), Look::Text);
        assert_eq!(Look::of(&noise(1, 63)), Look::Short);
        // A table of 32-bit numbers, and UTF-16.
        let numbers: Vec<u8> = (0..32_u32).flat_map(|n| (n * 77).to_be_bytes()).collect();
        assert_eq!(Look::of(&numbers), Look::Binary);
        let utf16: Vec<u8> = "The quick brown fox jumps over the lazy dog"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(Look::of(&utf16), Look::Binary);
    }

    #[test]
    fn the_expected_entropy_is_that_of_random_bytes() {
        for count in [64, 256, 384] {
            let mean = (1..=500)
                .map(|seed| entropy(&noise(seed, count)))
                .sum::<f64>()
                / 500.0;
            let expected = entropy_of_noise(count);
            assert!((mean - expected).abs() < 0.02, "{count}: {mean} {expected}");
        }
    }

    #[test]
    fn turns_add_up_until_the_other_side_speaks() {
        let peek = |frame, side, length| Peek {
            seen: Seen {
                frame,
                time: Timestamp::default(),
            },
            side,
            length,
            bytes: Box::default(),
        };
        let peeks = [
            peek(1, Side::B, 10),
            peek(2, Side::B, 1400),
            peek(3, Side::A, 5),
        ];
        assert_eq!(
            turns(peeks.iter(), Side::B),
            ["client 1410 bytes", "server 5 bytes"]
        );
    }

    #[test]
    fn shown_bytes_hold_no_control_characters() {
        assert_eq!(
            shown(b"\x05\x01\x00A\x1b[2J"),
            "05 01 00 41 1b 5b 32 4a `...A.[2J`"
        );
        assert_eq!(shown(&[0x41; 40]).matches("41").count(), SHOWN_BYTES);
    }
}
