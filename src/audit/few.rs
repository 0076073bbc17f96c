//! Sets that stop growing: a flood of names or addresses must not fill memory.
//!
//! What is dropped is counted, so that nobody takes a part for the whole.

use std::collections::BTreeSet;

/// A set of a bounded number of values, and how often one found no room.
#[derive(Clone, Debug)]
pub(super) struct Few<T> {
    known: BTreeSet<T>,
    beyond: u64,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self {
            known: BTreeSet::new(),
            beyond: 0,
        }
    }
}

impl<T: Ord> Few<T> {
    /// Adds a value, where there are fewer than `most`.
    pub(super) fn insert(&mut self, value: T, most: usize) {
        self.insert_within(value, most, &mut Room::of(most));
    }

    /// Adds a value, where there are fewer than `most` and sets that share the room left some. The first needs no room: a set
    /// that something was added to is never empty.
    pub(super) fn insert_within(&mut self, value: T, most: usize, room: &mut Room) {
        if self.known.contains(&value) {
            return;
        }
        if self.known.is_empty() || (self.known.len() < most && room.take()) {
            self.known.insert(value);
        } else {
            self.beyond = self.beyond.saturating_add(1);
        }
    }

    /// Whether nothing that is added changes what is told: it has grown as far as it may, and is known to be a part.
    pub(super) fn is_settled(&self, most: usize, room: Room) -> bool {
        !self.is_whole() && (self.known.len() >= most || room.is_taken())
    }

    /// Takes in another, which keeps its values however many there are: they have their room already.
    pub(super) fn join(&mut self, other: Self) {
        let Self { known, beyond } = other;
        self.known.extend(known);
        self.beyond = self.beyond.saturating_add(beyond);
    }

    /// The values that found room.
    pub(super) const fn known(&self) -> &BTreeSet<T> {
        &self.known
    }

    /// Whether all values found room.
    pub(super) const fn is_whole(&self) -> bool {
        self.beyond == 0
    }

    /// How often a value found no room.
    pub(super) const fn beyond(&self) -> u64 {
        self.beyond
    }

    /// "12", or "at least 12" where some found no room.
    pub(super) fn count(&self) -> String {
        let at_least = if self.is_whole() { "" } else { "at least " };
        format!("{at_least}{}", self.known.len())
    }
}

/// Values that several sets may hold together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    left: usize,
}

impl Room {
    /// Room for so many values.
    pub(super) const fn of(values: usize) -> Self {
        Self { left: values }
    }

    /// Takes the room of one value; whether there was any.
    pub(super) const fn take(&mut self) -> bool {
        let is_free = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_free
    }

    /// Whether no room is left.
    const fn is_taken(self) -> bool {
        self.left == 0
    }

    /// Gives back the room of some values.
    pub(super) const fn give_back(&mut self, values: usize) {
        self.left = self.left.saturating_add(values);
    }

    /// For how many more values there is room.
    #[cfg(test)]
    pub(super) const fn left(self) -> usize {
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted_and_what_is_known_takes_none() {
        let mut few = Few::default();
        for value in [1, 1, 2, 3, 3] {
            few.insert(value, 2);
        }
        assert_eq!(few.known(), &BTreeSet::from([1, 2]));
        assert_eq!((few.beyond(), few.count()), (2, "at least 2".to_owned()));
    }

    #[test]
    fn sets_that_share_a_room_hold_no_more_than_it_together() {
        let (mut room, mut one, mut other) = (Room::of(3), Few::default(), Few::default());
        for value in 0..2 {
            one.insert_within(value, 8, &mut room);
            other.insert_within(value, 8, &mut room);
        }
        other.insert_within(2, 8, &mut room);
        other.insert_within(3, 8, &mut room);
        assert!(one.is_whole() && !other.is_whole());
        assert_eq!(
            (one.known().len(), other.known().len()),
            (2, 3),
            "the first of each is free"
        );
    }
}
