//! A map as a sorted list: what decoders said of one flow is written once, read often, and mostly a dozen entries.
//!
//! A list of a dozen is one allocation where a tree is several, and is searched within two lines of cache.

use std::borrow::Borrow;
use std::slice::Iter;

use serde::{Serialize, Serializer};

/// Keys with their values, in the order of keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sorted<K, V>(Vec<(K, V)>);

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> Sorted<K, V> {
    /// No entries.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many entries there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All entries, in order.
    pub fn as_slice(&self) -> &[(K, V)] {
        &self.0
    }

    /// Keys and values, in order.
    pub fn iter(&self) -> Entries<'_, K, V> {
        self.into_iter()
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }
}

impl<K: Ord, V> Sorted<K, V> {
    /// Of entries whose keys ascend already; where they do not, they are put in order.
    pub fn of_ascending(entries: Vec<(K, V)>) -> Self {
        if entries.is_sorted_by(|(one, _), (other, _)| one < other) {
            Self(entries)
        } else {
            entries.into_iter().collect()
        }
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let place = self
            .0
            .binary_search_by(|(known, _)| known.borrow().cmp(key));
        self.0.get(place.ok()?).map(|(_, value)| value)
    }

    /// Adds a key; of two values of one key the lesser stays.
    pub fn insert_least(&mut self, key: K, value: V)
    where
        V: Ord,
    {
        match self.0.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(place) => {
                if let Some((_, known)) = self.0.get_mut(place)
                    && value < *known
                {
                    *known = value;
                }
            }
            Err(place) => self.0.insert(place, (key, value)),
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Sorted<K, V> {
    /// Of two values of one key the first stays.
    fn from_iter<T: IntoIterator<Item = (K, V)>>(entries: T) -> Self {
        let mut entries: Vec<(K, V)> = entries.into_iter().collect();
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        entries.dedup_by(|(one, _), (other, _)| one == other);
        Self(entries)
    }
}

impl<K, V> IntoIterator for Sorted<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Keys and values of a [`Sorted`], in order.
pub type Entries<'a, K, V> = std::iter::Map<Iter<'a, (K, V)>, fn(&'a (K, V)) -> (&'a K, &'a V)>;

impl<'a, K, V> IntoIterator for &'a Sorted<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Entries<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(key, value)| (key, value))
    }
}

impl<K: Serialize, V: Serialize> Serialize for Sorted<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_lie_in_order_each_key_once_with_its_least_value() {
        let mut sorted: Sorted<&str, u8> = [("b", 2), ("a", 1), ("b", 9)].into_iter().collect();
        sorted.insert_least("c", 5);
        sorted.insert_least("a", 0);
        sorted.insert_least("b", 3);
        assert_eq!(sorted.as_slice(), [("a", 0), ("b", 2), ("c", 5)]);
        assert_eq!((sorted.get("b"), sorted.get("d")), (Some(&2), None));
    }

    #[test]
    fn what_does_not_ascend_is_put_in_order() {
        let ascending = Sorted::of_ascending(vec![(1, 'a'), (2, 'b')]);
        assert_eq!(ascending, Sorted::of_ascending(vec![(2, 'b'), (1, 'a')]));
        assert_eq!(ascending.len(), 2);
    }
}
