//! What bytes prove: an attribute of a protocol, and its value.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::net::{Side, Timestamp};

/// An attribute that a decoder registers: `protocol.name`, for example `smtp.banner`.
#[derive(Clone, Copy, Debug, Eq, Hash)]
#[expect(
    clippy::derived_hash_with_manual_eq,
    reason = "equal places hold equal letters, which are what is hashed"
)]
pub struct Attribute {
    /// The protocol that says it.
    pub protocol: &'static str,
    /// The name within the protocol.
    pub name: &'static str,
}

impl PartialEq for Attribute {
    fn eq(&self, other: &Self) -> bool {
        is_same(self.name, other.name) && is_same(self.protocol, other.protocol)
    }
}

impl Ord for Attribute {
    fn cmp(&self, other: &Self) -> Ordering {
        order(self.protocol, other.protocol).then_with(|| order(self.name, other.name))
    }
}

impl PartialOrd for Attribute {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Whether two names are the same. Most are the same constant, or differ in length.
fn is_same(one: &'static str, other: &'static str) -> bool {
    std::ptr::eq(one, other) || one == other
}

/// The order of two names. Most are the same constant, which takes no look at the letters.
fn order(one: &'static str, other: &'static str) -> Ordering {
    if std::ptr::eq(one, other) {
        Ordering::Equal
    } else {
        one.cmp(other)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.protocol, self.name)
    }
}

impl Serialize for Attribute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The value of a fact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// A number; its unit is that of the attribute.
    Number(u64),
    /// Text as on the wire, at most [`Value::MAX_TEXT`] characters, control characters replaced.
    Text(Box<str>),
    /// An RPC interface: UUID and version.
    Interface {
        /// The interface identifier.
        uuid: Uuid,
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    },
    /// An address.
    Address(IpAddr),
    /// A time that the bytes name (certificate validity, server clock).
    Time(Timestamp),
}

impl Value {
    /// Characters that a text keeps: longer ones are hostile or not worth a report's line.
    pub const MAX_TEXT: usize = 256;

    /// A text, cut to [`Value::MAX_TEXT`] characters, with control characters replaced by `U+FFFD`.
    pub fn text(text: &str) -> Self {
        if Self::is_kept_as_it_is(text) {
            return Self::Text(text.into());
        }
        let clean = |c: char| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        };
        Self::Text(text.chars().take(Self::MAX_TEXT).map(clean).collect())
    }

    /// What nearly all texts are: nothing to replace, nothing to cut.
    pub(super) fn is_kept_as_it_is(text: &str) -> bool {
        let is_clean = |byte: u8| matches!(byte, b' '..=b'~');
        text.len() <= Self::MAX_TEXT && text.bytes().all(is_clean)
    }

    /// The text of a text value.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) | Self::Interface { .. } | Self::Address(_) | Self::Time(_) => None,
        }
    }

    /// The number of a number value.
    pub const fn as_number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) | Self::Interface { .. } | Self::Address(_) | Self::Time(_) => None,
        }
    }
}

/// A value that is looked at where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ValueRef<'a> {
    Number(u64),
    Text(&'a str),
    Interface(Uuid, u16, u16),
    Address(IpAddr),
    Time(Timestamp),
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Number(number) => Self::Number(*number),
            Value::Text(text) => Self::Text(text),
            Value::Interface { uuid, major, minor } => Self::Interface(*uuid, *major, *minor),
            Value::Address(address) => Self::Address(*address),
            Value::Time(time) => Self::Time(*time),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
            Self::Interface { uuid, major, minor } => write!(f, "{uuid} {major}.{minor}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Time(time) => write!(f, "{time}"),
        }
    }
}

/// A fact: an attribute has a value. Facts are sets, so that a repeated merge changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Fact {
    /// What is said.
    pub attribute: Attribute,
    /// What it is said of, where one flow has several subjects: a presentation context of RPC, an SSRC of RTP; 0 where
    /// there is only one.
    pub subject: u64,
    /// The value.
    pub value: Value,
    /// The side whose bytes say it.
    pub side: Side,
}

/// What [`Fact`]s are ordered by, as parts that may lie elsewhere: so that a fact can be looked for before it is made.
pub(super) trait FactParts {
    fn parts(&self) -> (Attribute, u64, ValueRef<'_>, Side);
}

impl FactParts for Fact {
    fn parts(&self) -> (Attribute, u64, ValueRef<'_>, Side) {
        (
            self.attribute,
            self.subject,
            ValueRef::from(&self.value),
            self.side,
        )
    }
}

impl FactParts for (Attribute, u64, ValueRef<'_>, Side) {
    fn parts(&self) -> (Attribute, u64, ValueRef<'_>, Side) {
        *self
    }
}

impl<'a> Borrow<dyn FactParts + 'a> for Fact {
    fn borrow(&self) -> &(dyn FactParts + 'a) {
        self
    }
}

impl PartialEq for dyn FactParts + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn FactParts + '_ {}

impl PartialOrd for dyn FactParts + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn FactParts + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_what_can_be_read_and_no_more_than_fits() {
        let text = |text: &str| Value::text(text).to_string();
        assert_eq!(text("220 mail.example.com"), "220 mail.example.com");
        assert_eq!(text("a\tb\u{7f}c\u{85}"), "a\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(text("Grüße"), "Grüße");
        let most = "x".repeat(Value::MAX_TEXT);
        assert_eq!(text(&most), most);
        assert_eq!(text(&format!("{most}y")), most);
    }

    #[test]
    fn attributes_are_ordered_by_their_letters() {
        let attribute = |protocol, name| Attribute { protocol, name };
        // The same letters at another place.
        let copied: &'static str = String::from("smtp").leak();
        assert_eq!(
            attribute("smtp", "banner").cmp(&attribute(copied, "banner")),
            Ordering::Equal
        );
        assert!(attribute("smtp", "banner") < attribute(copied, "command"));
        assert!(attribute("dns", "query") < attribute("smtp", "banner"));
    }
}
