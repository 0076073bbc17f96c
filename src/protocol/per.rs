//! Reading of aligned PER (ITU-T X.691) as H.225.0 and H.245 use it. A helper for decoders, no protocol of its own; it knows no
//! schema.
//!
//! Everything answers `None` where the bytes end, or hold a form that these protocols do not use (fragmented lengths,
//! indexes above 63): a decoder then knows nothing of what follows, and says nothing of it.

/// A position in a message, counted in bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Per<'a> {
    bytes: &'a [u8],
    bit: usize,
}

/// An alternative of an extensible choice.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice<'a> {
    /// One of the root, by its index.
    Root(u32),
    /// One of the extension: its index and its contents.
    Extension(u32, Per<'a>),
}

impl<'a> Per<'a> {
    /// Most additions of an extension that are read: the longest list of these protocols has some thirty.
    const MAX_ADDITIONS: u32 = 64;

    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, bit: 0 }
    }

    /// Octets that are begun.
    pub(super) const fn offset(&self) -> usize {
        self.bit.div_ceil(8)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.bit >> 3)?;
        let mask = 0x80 >> (self.bit & 7);
        self.bit = self.bit.checked_add(1)?;
        Some(byte & mask != 0)
    }

    /// `count` bits (32 at most) as a number.
    pub(super) fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count.min(32)).try_fold(0_u32, |value, _| Some(value << 1 | u32::from(self.flag()?)))
    }

    /// Passes over `count` bits.
    pub(super) fn skip_bits(&mut self, count: u32) -> Option<()> {
        let end = self.bit.checked_add(usize::try_from(count).ok()?)?;
        (end.div_ceil(8) <= self.bytes.len()).then_some(())?;
        self.bit = end;
        Some(())
    }

    /// Octets from the next boundary on.
    pub(super) fn octets(&mut self, count: usize) -> Option<&'a [u8]> {
        let start = self.offset();
        let end = start.checked_add(count)?;
        let octets = self.bytes.get(start..end)?;
        self.bit = end.checked_mul(8)?;
        Some(octets)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        self.octets(N)?.first_chunk()
    }

    /// A constrained number less its least value, out of `range` values (sections 11.5.6 and 11.5.7).
    pub(super) fn number(&mut self, range: u32) -> Option<u32> {
        match range {
            0 | 1 => Some(0),
            2..=255 => self.bits(u32::BITS - (range - 1).leading_zeros()),
            256 => self.array::<1>().map(|&[byte]| u32::from(byte)),
            257..=0x1_0000 => self
                .array()
                .map(|bytes| u32::from(u16::from_be_bytes(*bytes))),
            // A length in octets, from 1 to what the greatest value takes.
            _ => {
                let most = (u32::BITS - (range - 1).leading_zeros()).div_ceil(8);
                let count = self.number(most)?.checked_add(1)?;
                let octets = self.octets(usize::try_from(count).ok()?)?;
                Some(
                    octets
                        .iter()
                        .fold(0, |value, byte| value << 8 | u32::from(*byte)),
                )
            }
        }
    }

    /// An unconstrained length (section 11.9), not fragmented.
    pub(super) fn length(&mut self) -> Option<usize> {
        match *self.array::<1>()? {
            [short @ 0..=0x7f] => Some(usize::from(short)),
            [high @ 0x80..=0xbf] => {
                let &[low] = self.array::<1>()?;
                Some(usize::from(u16::from_be_bytes([high & 0x3f, low])))
            }
            [_] => None,
        }
    }

    /// A normally small number (section 11.6) up to 63.
    fn small(&mut self) -> Option<u32> {
        match self.flag()? {
            false => self.bits(6),
            true => None,
        }
    }

    /// Octets after an unconstrained length: an OCTET STRING or OBJECT IDENTIFIER.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.octets(length)
    }

    /// An open type (section 11.2), with a position of its own.
    pub(super) fn open(&mut self) -> Option<Self> {
        self.string().map(Self::new)
    }

    /// The alternative of an extensible choice with `root` alternatives.
    pub(super) fn choice(&mut self, root: u32) -> Option<Choice<'a>> {
        if self.flag()? {
            let index = self.small()?;
            Some(Choice::Extension(index, self.open()?))
        } else {
            let index = self.number(root)?;
            (index < root).then_some(Choice::Root(index))
        }
    }

    /// The extension additions of a sequence that are there, with their index (section 19.7).
    pub(super) fn additions(&mut self) -> Option<Vec<(u32, Per<'a>)>> {
        let count = self.small()?.checked_add(1)?;
        let mut present = Vec::new();
        for index in 0..count.min(Self::MAX_ADDITIONS) {
            if self.flag()? {
                present.push(index);
            }
        }
        present
            .into_iter()
            .map(|index| Some((index, self.open()?)))
            .collect()
    }

    /// Passes over the additions, if there are any.
    pub(super) fn skip_additions(&mut self, are_there: bool) -> Option<()> {
        match are_there {
            true => self.additions().map(drop),
            false => Some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_ranges_are_bits_and_larger_ones_aligned_octets() {
        let mut per = Per::new(&[0b1010_0000, 7, 1, 2, 0b1000_0000, 1, 2, 3]);
        assert_eq!(per.number(4), Some(2));
        assert_eq!(per.number(256), Some(7));
        assert_eq!(per.number(0x1_0000), Some(0x0102));
        assert_eq!(per.number(1 << 24), Some(0x01_0203));
        assert_eq!(per.number(256), None);
    }

    #[test]
    fn lengths_have_one_octet_or_two_and_are_not_fragmented() {
        assert_eq!(Per::new(&[2, 8, 9]).string(), Some(&[8, 9][..]));
        let mut long = vec![0x80, 0x81];
        long.extend([1; 0x81]);
        assert_eq!(Per::new(&long).string().map(<[u8]>::len), Some(0x81));
        assert!(Per::new(&[0xc1, 0]).string().is_none());
        assert!(Per::new(&[3, 0]).string().is_none());
    }

    #[test]
    fn a_choice_keeps_the_contents_of_its_extension() {
        assert!(matches!(
            Per::new(&[0b0100_0000]).choice(4),
            Some(Choice::Root(2))
        ));
        assert!(Per::new(&[0b0110_0000]).choice(3).is_none());
        let mut per = Per::new(&[0b1000_0101, 1, 0x80]);
        let Some(Choice::Extension(5, mut inside)) = per.choice(4) else {
            panic!("not an extension");
        };
        assert_eq!(inside.flag(), Some(true));
    }

    #[test]
    fn additions_are_those_of_the_bitmap() {
        // Three of them: the first and the third are there.
        let mut per = Per::new(&[0b0000_0101, 0b0100_0000, 1, 7, 0]);
        let additions = per.additions().unwrap();
        let indexes: Vec<_> = additions.iter().map(|(index, _)| *index).collect();
        assert_eq!(indexes, [0, 2]);
        assert!(Per::new(&[0b0000_0011, 0xff]).additions().is_none());
    }
}
