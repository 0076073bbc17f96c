//! Random numbers from a seed, in the distributions that traffic has.

use super::samples::bytes::Prng;

/// The generator of one capture; whoever draws in the same order draws the same numbers.
pub(crate) struct Random {
    /// What the builders of messages draw from.
    pub(crate) prng: Prng,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            prng: Prng::new(seed),
        }
    }

    /// A number from 0 to below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (((self.prng.next() >> 32) * end as u64) >> 32) as usize
    }

    /// A number from `first` to `last`, both included.
    pub(crate) fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    pub(crate) fn word(&mut self) -> u32 {
        (self.prng.next() >> 32) as u32
    }

    pub(crate) fn short(&mut self) -> u16 {
        (self.prng.next() >> 48) as u16
    }

    /// A number from 0 to below 1.
    fn unit(&mut self) -> f64 {
        (self.prng.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True in `parts` of 1,000 cases.
    pub(crate) fn per_mille(&mut self, parts: usize) -> bool {
        self.below(1000) < parts
    }

    /// Gaps between independent arrivals.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Sizes of which few are huge: Pareto with shape 1.2, as sizes of files and of web objects are found to be (Crovella, Bestavros
    /// 1997), cut at `most`.
    pub(crate) fn heavy_tailed(&mut self, least: usize, most: usize) -> usize {
        let size = least as f64 / (1.0 - self.unit()).powf(1.0 / 1.2);
        (size as usize).min(most)
    }

    /// An index below `length` by Zipf's law, about: the first are the popular ones.
    pub(crate) fn popular(&mut self, length: usize) -> usize {
        let rank = (length as f64).powf(self.unit()) - 1.0;
        (rank as usize).min(length - 1)
    }

    /// One of a list.
    pub(crate) fn one_of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}
