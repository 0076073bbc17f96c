//! A map that keeps the least value of each key: where something was seen first, how deep it lies at least.
//!
//! Nearly all maps of a flow hold a few keys. Those lie side by side in one short list, in no order, which is searched from
//! its start; only what outgrows that is kept in order, in a tree. A tree alone would cost a kilobyte for its first key.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use super::Sorted;

/// Keys, each with the least of its values.
#[derive(Debug)]
pub enum Least<K, V> {
    /// At most [`Least::FEW`], in the order in which they came.
    Few(Vec<(K, V)>),
    /// There were more than that.
    Many(BTreeMap<K, V>),
}

impl<K, V> Default for Least<K, V> {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl<K, V> Least<K, V> {
    /// Keys of a list: it is searched key by key.
    pub const FEW: usize = 64;

    /// Makes room for so many further keys of a list, and no more: nearly all flows say what they say in one message or two,
    /// and live long after it. A list grows by a quarter at least, so that keys that come one by one are not moved each time.
    pub(super) fn make_room(&mut self, further: usize) {
        if let Self::Few(few) = self
            && few.capacity().saturating_sub(few.len()) < further
        {
            let quarter = few.len() / 4;
            few.reserve_exact(further.max(quarter).min(Self::FEW));
        }
    }
}

impl<K: Ord, V> From<Sorted<K, V>> for Least<K, V> {
    fn from(sorted: Sorted<K, V>) -> Self {
        if sorted.len() <= Self::FEW {
            Self::Few(sorted.into_iter().collect())
        } else {
            Self::Many(sorted.into_iter().collect())
        }
    }
}

impl<K: Ord, V: Copy + Ord> Least<K, V> {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key; `is_equal` says of a key what its order says.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q, is_equal: impl Fn(&K) -> bool) -> Option<V>
    where
        K: Borrow<Q>,
    {
        match self {
            Self::Few(few) => {
                let known = few.iter().find(|(known, _)| is_equal(known));
                known.map(|(_, value)| *value)
            }
            Self::Many(many) => many.get(key).copied(),
        }
    }

    /// Adds a key, or a value of a known one. Says whether the key is new.
    pub fn insert(&mut self, key: K, value: V) -> bool {
        let known = match self {
            Self::Few(few) => {
                let known = few.iter_mut().find(|(known, _)| *known == key);
                known.map(|(_, least)| least)
            }
            Self::Many(many) => many.get_mut(&key),
        };
        if let Some(least) = known {
            *least = value.min(*least);
            return false;
        }
        match self {
            Self::Few(few) if few.len() < Self::FEW => few.push((key, value)),
            Self::Few(few) => {
                let mut many: BTreeMap<K, V> = std::mem::take(few).into_iter().collect();
                many.insert(key, value);
                *self = Self::Many(many);
            }
            Self::Many(many) => {
                many.insert(key, value);
            }
        }
        true
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let mut all: Vec<(&K, &V)> = match self {
            Self::Few(few) => few.iter().map(|(key, value)| (key, value)).collect(),
            Self::Many(many) => many.iter().collect(),
        };
        all.sort_unstable();
        all.into_iter()
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// As a list in order.
    pub fn into_sorted(self) -> Sorted<K, V> {
        match self {
            Self::Few(few) => few.into_iter().collect(),
            Self::Many(many) => Sorted::of_ascending(many.into_iter().collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_value_counts_whatever_the_order_and_the_size() {
        for count in [3, Least::<u64, u64>::FEW as u64, 200] {
            let mut least = Least::default();
            for value in [7, 3, 5] {
                for key in 0..count {
                    assert_eq!(least.insert(count - key, value), value == 7);
                }
            }
            assert_eq!(least.len() as u64, count);
            assert_eq!(least.get(&1, |&known| known == 1), Some(3));
            assert_eq!(least.get(&0, |&known| known == 0), None);
            assert!(least.keys().copied().eq(1..=count));
            assert!(
                least
                    .into_sorted()
                    .into_iter()
                    .eq((1..=count).map(|key| (key, 3)))
            );
        }
    }
}
