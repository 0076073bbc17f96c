//! Numbers of flows as a compact set: a flood's million flows are one run of bytes, not a million numbers.
//!
//! Numbers come in the order of flows, so a set is a list of runs: each is the gap before it and its length, as variable
//! bytes. A scan that one finding names in whole costs a few bytes, one that it names every other flow of two bytes a flow.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;

use serde::{Serialize, Serializer};

use super::Finding;
use super::order::by_code;
use crate::evidence::varint;

/// A set of flow numbers, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowNumbers {
    /// Finished runs: gap since the end of the one before, then length.
    runs: Vec<u8>,
    /// End of the finished runs, exclusive.
    finished: u64,
    /// The last run: start and end, exclusive; empty at first.
    last: (u64, u64),
    first: Option<u64>,
    count: usize,
}

impl FlowNumbers {
    /// No numbers.
    pub const fn new() -> Self {
        Self {
            runs: Vec::new(),
            finished: 0,
            last: (0, 0),
            first: None,
            count: 0,
        }
    }

    /// Adds a number that is not below any before it; one that is there already changes nothing.
    pub fn push(&mut self, number: u64) {
        let (start, end) = self.last;
        if self.first.is_some() && number < end {
            debug_assert!(number.saturating_add(1) == end, "numbers come in order");
            return;
        }
        if self.first.is_none() {
            (self.first, self.last) = (Some(number), (number, number.saturating_add(1)));
        } else if number == end {
            self.last.1 = end.saturating_add(1);
        } else {
            varint::put(&mut self.runs, start.saturating_sub(self.finished));
            varint::put(&mut self.runs, end.saturating_sub(start));
            self.finished = end;
            self.last = (number, number.saturating_add(1));
        }
        self.count = self.count.saturating_add(1);
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The least.
    pub const fn first(&self) -> Option<u64> {
        self.first
    }

    /// The greatest.
    pub fn last(&self) -> Option<u64> {
        self.first.map(|_| self.last.1.saturating_sub(1))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.runs().flat_map(|(start, end)| start..end)
    }

    /// Whether a number is one of them.
    pub fn contains(&self, number: u64) -> bool {
        self.runs()
            .any(|(start, end)| (start..end).contains(&number))
    }

    /// Bytes that its runs take.
    pub(super) const fn size_bytes(&self) -> usize {
        self.runs.len()
    }

    /// Numbers of any of the sets.
    pub(super) fn union(sets: &[Self]) -> Self {
        let mut runs: Vec<_> = sets.iter().map(Self::runs).collect();
        // The next run of each set, the earliest on top.
        let mut waiting = BinaryHeap::new();
        for (place, runs) in runs.iter_mut().enumerate() {
            waiting.extend(runs.next().map(|(start, end)| Reverse((start, end, place))));
        }
        let mut union = Self::new();
        while let Some(Reverse((start, end, place))) = waiting.pop() {
            union.push_run(start, end);
            let next = runs.get_mut(place).and_then(Iterator::next);
            waiting.extend(next.map(|(start, end)| Reverse((start, end, place))));
        }
        union
    }

    /// Adds numbers from `from` up to `to`, exclusive, of which none lies before the last run.
    fn push_run(&mut self, from: u64, to: u64) {
        let from = match self.last() {
            Some(last) => from.max(last.saturating_add(1)),
            None => from,
        };
        if from >= to {
            return;
        }
        self.push(from);
        let added = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        self.last.1 = to;
        self.count = self.count.saturating_add(added.saturating_sub(1));
    }

    /// The runs, in order: start and end, exclusive.
    pub(super) fn runs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut rest = self.runs.as_slice();
        let mut at = 0_u64;
        let finished = std::iter::from_fn(move || {
            let start = at.saturating_add(varint::take(&mut rest)?);
            at = start.saturating_add(varint::take(&mut rest)?);
            Some((start, at))
        });
        finished.chain(self.first.map(|_| self.last))
    }
}

impl FromIterator<u64> for FlowNumbers {
    fn from_iter<T: IntoIterator<Item = u64>>(numbers: T) -> Self {
        let mut set = Self::default();
        numbers.into_iter().for_each(|number| set.push(number));
        set
    }
}

impl Serialize for FlowNumbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// The codes of the findings that name each flow, asked for in the order of flows: one step a flow, whatever the size of
/// the sets.
pub struct FlowCodes<'a> {
    sets: Vec<(&'static str, Runs<'a>)>,
    /// Sets whose next run is to come: its start and end, and the place of the set. The earliest is on top.
    waiting: BinaryHeap<Reverse<(u64, u64, usize)>>,
    /// Sets whose run is open, in the order of findings, and where it ends.
    open: BTreeMap<usize, u64>,
    /// Codes of the open sets.
    codes: Vec<&'static str>,
    /// The first number at which the codes may be others.
    until: u64,
}

type Runs<'a> = Box<dyn Iterator<Item = (u64, u64)> + 'a>;

impl<'a> FlowCodes<'a> {
    /// The codes of these findings.
    pub fn of(findings: &'a [Finding]) -> Self {
        let mut waiting = BinaryHeap::new();
        let mut findings: Vec<&Finding> = findings.iter().collect();
        findings.sort_by(|one, other| by_code(one).cmp(&by_code(other)));
        let sets = findings.into_iter().enumerate().map(|(place, finding)| {
            let mut runs: Runs<'a> = Box::new(finding.flows.runs());
            if let Some((start, end)) = runs.next() {
                waiting.push(Reverse((start, end, place)));
            }
            (finding.code, runs)
        });
        let sets = sets.collect();
        Self {
            sets,
            waiting,
            open: BTreeMap::new(),
            codes: Vec::new(),
            until: 0,
        }
    }

    /// The codes of the findings that name a flow, those of the worst first, then by code. Numbers must not go back.
    pub fn at(&mut self, number: u64) -> &[&'static str] {
        if number >= self.until {
            self.go_to(number);
        }
        &self.codes
    }

    /// The codes for flows with numbers in a row, as stretches of flows that have the same: the number behind each stretch, and
    /// its codes. Numbers must not go back.
    pub fn over(&mut self, numbers: Range<u64>) -> Vec<(u64, Vec<&'static str>)> {
        let mut stretches = Vec::new();
        let mut number = numbers.start;
        while number < numbers.end {
            let codes = self.at(number).to_vec();
            number = self.until.min(numbers.end);
            stretches.push((number, codes));
        }
        stretches
    }

    fn go_to(&mut self, number: u64) {
        self.open.retain(|_, end| *end > number);
        while let Some(&Reverse((start, end, place))) = self.waiting.peek()
            && start <= number
        {
            self.waiting.pop();
            if end > number {
                self.open.insert(place, end);
            }
            let next = self.sets.get_mut(place).and_then(|(_, runs)| runs.next());
            if let Some((start, end)) = next {
                self.waiting.push(Reverse((start, end, place)));
            }
        }
        self.codes.clear();
        for place in self.open.keys() {
            if let Some((code, _)) = self.sets.get(*place)
                && !self.codes.contains(code)
            {
                self.codes.push(code);
            }
        }
        let closes = self.open.values().copied();
        let opens = self.waiting.peek().map(|Reverse((start, ..))| *start);
        self.until = closes.chain(opens).min().unwrap_or(u64::MAX);
    }
}

impl std::fmt::Debug for FlowCodes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlowCodes")
            .field("codes", &self.codes)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// The codes of those flows among `numbers`, which are in ascending order, that findings name.
pub fn codes_of(
    findings: &[Finding],
    numbers: impl IntoIterator<Item = u64>,
) -> BTreeMap<u64, Vec<&'static str>> {
    let mut codes = FlowCodes::of(findings);
    let mut found = BTreeMap::new();
    for number in numbers {
        let codes = codes.at(number);
        if !codes.is_empty() {
            found.insert(number, codes.to_vec());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Severity;

    fn finding(code: &'static str, flows: &[u64]) -> Finding {
        Finding {
            code,
            name: "",
            severity: Severity::Info,
            message: String::new(),
            row: None,
            flows: flows.iter().copied().collect(),
            evidence: Vec::new(),
            documents: Vec::new(),
            advice: "",
            display_filter: String::new(),
            fingerprint: String::new(),
        }
    }

    #[test]
    fn numbers_come_out_as_they_went_in() {
        let numbers = [1, 2, 3, 7, 9, 10, 400, 70_000, u64::from(u32::MAX)];
        let set: FlowNumbers = numbers.into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), numbers);
        assert_eq!((set.len(), set.first()), (numbers.len(), Some(1)));
        assert!(set.contains(10) && !set.contains(11));
        assert_eq!(FlowNumbers::default().iter().count(), 0);
    }

    #[test]
    fn stretches_say_the_same_as_flows_one_by_one() {
        let findings = [
            finding("EXW101", &[2, 3, 4, 9]),
            finding("EXW102", &[4, 5, 12]),
        ];
        let (mut each, mut over) = (FlowCodes::of(&findings), FlowCodes::of(&findings));
        for numbers in [1..4, 4..5, 5..5, 5..11, 11..20] {
            let stretches = over.over(numbers.clone());
            for number in numbers.clone() {
                let of = stretches.iter().find(|(end, _)| number < *end);
                assert_eq!(of.unwrap().1, each.at(number), "flow {number}");
            }
            assert_eq!(
                stretches.last().map(|(end, _)| *end),
                numbers.clone().max().map(|last| last + 1)
            );
        }
    }

    #[test]
    fn a_number_that_comes_twice_counts_once() {
        let set: FlowNumbers = [5, 5, 6, 6].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [5, 6]);
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn a_million_flows_in_a_row_are_a_few_bytes_and_every_other_one_two_bytes_each() {
        let row: FlowNumbers = (1..=1_000_000).collect();
        assert_eq!((row.len(), row.runs.len()), (1_000_000, 0));
        let other: FlowNumbers = (1..=1_000_000).step_by(2).collect();
        assert!(other.runs.len() <= 1_000_000);
    }

    #[test]
    fn a_union_holds_the_numbers_of_every_set_once() {
        let sets: [FlowNumbers; 4] = [
            [1, 2, 3, 9].into_iter().collect(),
            [2, 3, 4, 10, 11].into_iter().collect(),
            FlowNumbers::default(),
            [4, 5, 400].into_iter().collect(),
        ];
        let union = FlowNumbers::union(&sets);
        let numbers = [1, 2, 3, 4, 5, 9, 10, 11, 400];
        assert_eq!(union.iter().collect::<Vec<_>>(), numbers);
        assert_eq!(union, numbers.into_iter().collect());
    }

    #[test]
    fn a_flow_has_the_codes_of_the_findings_that_name_it_those_of_the_worst_first_then_by_code() {
        let worst = Finding {
            severity: Severity::Error,
            ..finding("C", &[2, 9])
        };
        let findings = [
            worst,
            finding("B", &[2, 3, 9]),
            finding("A", &[1, 2, 9]),
            finding("B", &[1, 2]),
        ];
        let mut codes = FlowCodes::of(&findings);
        let seen: Vec<Vec<&str>> = (1..=10).map(|number| codes.at(number).to_vec()).collect();
        assert_eq!(seen[0], ["A", "B"]);
        assert_eq!(seen[1], ["C", "A", "B"]);
        assert_eq!(seen[2], ["B"]);
        assert!(seen[3].is_empty() && seen[7].is_empty() && seen[9].is_empty());
        assert_eq!(seen[8], ["C", "A", "B"]);
    }

    #[test]
    fn codes_of_some_flows_are_found_without_the_others() {
        let findings = [finding("A", &[1, 5, 6, 7]), finding("B", &[7])];
        let codes = codes_of(&findings, [2, 6, 7]);
        assert_eq!(codes.get(&2), None);
        assert_eq!(codes[&6], ["A"]);
        assert_eq!(codes[&7], ["A", "B"]);
    }
}
