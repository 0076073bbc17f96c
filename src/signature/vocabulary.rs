//! The closed vocabularies of signature files: roles, products, kinds and so on. An unknown word is an error that names
//! the nearest known one.

/// A closed enumeration with one word a value; strict when read, printed as its word.
macro_rules! vocabulary {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word of the value in signature files and output.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.word())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::signature::vocabulary::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.word() == text).ok_or_else(|| {
                    $crate::signature::vocabulary::UnknownWord::new($what, text, Self::ALL.iter().map(|value| value.word()))
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use vocabulary;

/// A word that a closed vocabulary does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{found}`{}", nearest.as_ref().map(|word| format!(", the nearest known one is `{word}`")).unwrap_or_default())]
pub struct UnknownWord {
    what: &'static str,
    found: String,
    nearest: Option<String>,
}

impl UnknownWord {
    /// The error for `found`, with the nearest of the known words.
    pub fn new<'a>(what: &'static str, found: &str, known: impl Iterator<Item = &'a str>) -> Self {
        let nearest = nearest(found, known).map(str::to_owned);
        Self {
            what,
            found: found.to_owned(),
            nearest,
        }
    }
}

/// The known word with the least edit distance, if it is close enough to be a misprint.
pub(crate) fn nearest<'a>(found: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|word| (distance(found, word), word))
        .filter(|(distance, word)| *distance <= word.len().max(found.len()).div_ceil(3))
        .min()
        .map(|(_, word)| word)
}

/// Levenshtein distance over bytes, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let above = *cell;
            let cost = diagonal.saturating_add(usize::from(x != y));
            left = cost
                .min(above.saturating_add(1))
                .min(left.saturating_add(1));
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i.saturating_add(1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_insertions_deletions_and_changes() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn a_misprint_finds_its_word_and_nonsense_finds_none() {
        let known = ["hub_transport", "mailbox"];
        assert_eq!(
            nearest("hub_tranport", known.into_iter()),
            Some("hub_transport")
        );
        assert_eq!(nearest("xyz", known.into_iter()), None);
    }
}
