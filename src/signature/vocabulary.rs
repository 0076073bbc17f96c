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

/// Words that a message lists where none of them is near.
const MAX_LISTED: usize = 8;

/// A word that a closed vocabulary does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{found}`{hint}")]
pub struct UnknownWord {
    what: &'static str,
    found: String,
    /// The nearest of the known words, or all of them if they are few.
    hint: String,
}

impl UnknownWord {
    /// The error for `found`, with the nearest of the known words.
    pub fn new<'a>(what: &'static str, found: &str, known: impl Iterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.collect();
        let hint = match nearest(found, known.iter().copied()) {
            Some(word) => format!(", the nearest known one is `{word}`"),
            None if known.len() <= MAX_LISTED => format!(", expected one of {}", known.join(", ")),
            None => String::new(),
        };
        Self {
            what,
            found: found.to_owned(),
            hint,
        }
    }
}

/// The known word with the least edit distance, if it is close enough to be a misprint.
pub(crate) fn nearest<'a>(found: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|word| (strsim::osa_distance(found, word), word))
        .filter(|(distance, word)| *distance <= word.len().max(found.len()).div_ceil(3))
        .min()
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_changed_places_are_one_misprint() {
        let known = ["sip", "smtp"];
        assert_eq!(nearest("smpt", known.into_iter()), Some("smtp"));
    }

    #[test]
    fn where_nothing_is_near_a_few_words_are_all_told() {
        let told = UnknownWord::new("format", "xml", ["table", "csv"].into_iter()).to_string();
        assert_eq!(told, "unknown format `xml`, expected one of table, csv");
        let many = (0..100).map(|_| "word");
        let told = UnknownWord::new("role", "x", many).to_string();
        assert_eq!(told, "unknown role `x`");
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
