//! Reading of untrusted bytes: a [`Cursor`] whose every step is checked, and [`open_enum!`](crate::open_enum) for wire
//! enumerations in which unknown values live on.
//!
//! No index, no unchecked cast and no arithmetic on lengths from the wire happens outside this module.

/// The bytes end before the value does. Whether the capture is short or the sender lies is for the caller to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// Offset in the cursor's buffer at which the value starts.
    pub offset: usize,
    /// Bytes that the value needs beyond those that are there.
    pub missing: usize,
}

/// A checked reading position in a byte slice. A nested length is a nested cursor ([`Cursor::sub`]).
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
}

macro_rules! number {
    ($($name:ident $type:ty, $from:ident, $doc:literal;)*) => {$(
        #[doc = $doc]
        pub fn $name(&mut self) -> Result<$type, Short> {
            Ok(<$type>::$from(*self.array()?))
        }
    )*};
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Bytes read so far.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Bytes left.
    pub const fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.offset)
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is left, without moving.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.offset..).unwrap_or_default()
    }

    /// The next byte, without moving.
    pub fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Short> {
        match self.rest().get(..count) {
            Some(bytes) => {
                self.offset = self.offset.saturating_add(count);
                Ok(bytes)
            }
            None => Err(Short {
                offset: self.offset,
                missing: count.saturating_sub(self.len()),
            }),
        }
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Short> {
        match self.rest().first_chunk() {
            Some(bytes) => {
                self.offset = self.offset.saturating_add(N);
                Ok(bytes)
            }
            None => Err(Short {
                offset: self.offset,
                missing: N.saturating_sub(self.len()),
            }),
        }
    }

    /// Passes over `count` bytes.
    pub fn skip(&mut self, count: usize) -> Result<(), Short> {
        self.take(count).map(drop)
    }

    /// A cursor over the next `count` bytes, which this one passes over.
    pub fn sub(&mut self, count: usize) -> Result<Self, Short> {
        self.take(count).map(Self::new)
    }

    /// Passes over padding up to the next multiple of `alignment` (counted from the start of the buffer); less where
    /// the buffer ends before.
    pub fn align(&mut self, alignment: usize) {
        let over = self.offset.checked_rem(alignment).unwrap_or(0);
        if over != 0 {
            self.offset = self
                .offset
                .saturating_add(alignment.saturating_sub(over))
                .min(self.bytes.len());
        }
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Short> {
        self.array::<1>().map(|&[byte]| byte)
    }

    number! {
        u16 u16, from_be_bytes, "Two bytes in network order.";
        u32 u32, from_be_bytes, "Four bytes in network order.";
        u64 u64, from_be_bytes, "Eight bytes in network order.";
        u128 u128, from_be_bytes, "Sixteen bytes in network order.";
        u16_le u16, from_le_bytes, "Two bytes, least significant first.";
        u32_le u32, from_le_bytes, "Four bytes, least significant first.";
        u64_le u64, from_le_bytes, "Eight bytes, least significant first.";
    }
}

/// An open wire enumeration: a newtype over the integer with named constants. Unknown values live on, and print as
/// their number.
///
/// ```
/// exwire::open_enum! {
///     /// Kinds of fruit on the wire.
///     pub struct Fruit(u8) {
///         /// An apple.
///         APPLE = 1 => "apple",
///     }
/// }
/// assert_eq!(Fruit::APPLE.to_string(), "apple");
/// assert_eq!(Fruit(9).to_string(), "9");
/// ```
#[macro_export]
macro_rules! open_enum {
    ($(#[$meta:meta])* $vis:vis struct $name:ident($int:ty) { $($(#[$item:meta])* $constant:ident = $value:expr => $text:expr,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis struct $name(pub $int);

        #[allow(dead_code, unreachable_pub, reason = "a wire enumeration names every documented value, read or not, here or elsewhere")]
        impl $name {
            $($(#[$item])* pub const $constant: Self = Self($value);)*

            /// The documented name of the value, if it has one.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$constant => Some($text),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}", self.0),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_read_says_where_and_how_much_and_does_not_move() {
        let mut cursor = Cursor::new(&[1, 2, 3]);
        assert_eq!(cursor.u16(), Ok(0x0102));
        assert_eq!(
            cursor.u32(),
            Err(Short {
                offset: 2,
                missing: 3
            })
        );
        assert_eq!(cursor.u8(), Ok(3));
        assert!(cursor.is_empty());
    }

    #[test]
    fn a_nested_length_is_a_nested_cursor() {
        let mut cursor = Cursor::new(&[1, 2, 3, 4]);
        let mut inner = cursor.sub(3).unwrap();
        assert_eq!(inner.u16_le(), Ok(0x0201));
        assert_eq!(cursor.rest(), [4]);
        assert!(cursor.sub(2).is_err());
    }

    #[test]
    fn alignment_stops_at_the_end() {
        let mut cursor = Cursor::new(&[0; 6]);
        cursor.skip(5).unwrap();
        cursor.align(4);
        assert!(cursor.is_empty());
    }
}
