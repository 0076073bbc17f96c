//! Small writers of bytes: lengths, DER, and the generator of "random" bytes. Never reads anything.

/// A length as a 16-bit field; a sample that does not fit is a mistake of the generator.
pub(crate) fn u16_of(length: usize) -> u16 {
    u16::try_from(length).expect("fits in 16 bits")
}

/// A length as a 32-bit field.
pub(crate) fn u32_of(length: usize) -> u32 {
    u32::try_from(length).expect("fits in 32 bits")
}

/// The low eight bits of a length.
pub(crate) fn u8_of(length: usize) -> u8 {
    u8::try_from(length).expect("fits in 8 bits")
}

/// Pieces one after the other.
pub(crate) fn cat(pieces: &[&[u8]]) -> Vec<u8> {
    pieces.concat()
}

/// Zero bytes up to a multiple of `unit`.
pub(crate) fn pad_to(bytes: &mut Vec<u8>, unit: usize) {
    bytes.resize(bytes.len().next_multiple_of(unit), 0);
}

/// Text as UTF-16LE, as NTLM and Windows names have it.
pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Bytes of a text of hexadecimal digits; anything else in it is skipped.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    let byte = |pair: &[u32]| match *pair {
        [high, low] => u8::try_from(high * 16 + low).expect("two digits"),
        _ => panic!("odd number of digits"),
    };
    digits.chunks(2).map(byte).collect()
}

/// A DER element with the shortest form of length (X.690 §8.1.3).
pub(crate) fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..128 => out.push(u8_of(short)),
        middle @ 128..256 => out.extend([0x81, u8_of(middle)]),
        long => {
            out.push(0x82);
            out.extend(u16_of(long).to_be_bytes());
        }
    }
    out.extend(content);
    out
}

/// A constructed DER element.
pub(crate) fn der_of(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    der(tag, &parts.concat())
}

/// A DER INTEGER of a value that is not negative.
pub(crate) fn der_integer(value: u32) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let mut content: Vec<u8> = bytes
        .iter()
        .copied()
        .skip_while(|byte| *byte == 0)
        .collect();
    if content.first().is_none_or(|byte| byte & 0x80 != 0) {
        content.insert(0, 0);
    }
    der(2, &content)
}

/// SplitMix64 (Steele, Lea, Flood 2014): what keys, nonces and encrypted bytes are filled with.
///
/// `state += 0x9E3779B97F4A7C15; z = state; z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
/// z = (z ^ z >> 27) * 0x94D049BB133111EB; z ^ z >> 31`, the result taken as eight little-endian bytes.
pub(crate) struct Prng(u64);

impl Prng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(count + 8);
        while out.len() < count {
            out.extend(self.next().to_le_bytes());
        }
        out.truncate(count);
        out
    }

    pub(crate) fn word(&mut self) -> u32 {
        u32::try_from(self.next() >> 32).expect("upper half")
    }
}
