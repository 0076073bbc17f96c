//! Takes lines from what each side of a connection sends: the loop that line protocols share.
//!
//! A helper for decoders, no protocol of its own. It keeps no bytes: the rest of a line that is too long is passed over.

use super::tls::TLS;
use super::{Next, Reject, Step, text};
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// Where the two sides stand between lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// A switch to TLS was agreed: the next binary byte begins it.
    tls: bool,
    /// The rest of a line that is too long, or whose beginning is missing, comes next.
    overlong: PerSide<bool>,
    /// The next line continues the one before.
    continued: PerSide<bool>,
}

/// A decoder whose messages are lines, and nothing else.
pub(super) trait LineReader {
    /// Where its two sides stand.
    fn lines(&mut self) -> &mut Lines;

    /// Bytes of the next line of `side` that are waited for; a longer one is passed over.
    fn longest(&self, side: Side) -> usize;

    /// Reads a whole line of `side`, without its end.
    fn line(&mut self, side: Side, line: &[u8], notes: &mut Notes<'_>) -> Result<(), Reject>;

    /// Reads the lines in `bytes`, which `side` sent: all that [`StreamDecoder::data`](super::StreamDecoder::data) does.
    fn read(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut used = 0;
        loop {
            let longest = self.longest(side);
            let line = match self.lines().next(side, bytes, &mut used, longest) {
                Ok(line) => line,
                Err(step) => return step,
            };
            if line.is_whole
                && let Err(reject) = self.line(side, line.text, notes)
            {
                return Step::Reject(reject);
            }
        }
    }
}

/// A line without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Its text, or the last part of it.
    pub(super) text: &'a [u8],
    /// Nothing of it is missing before.
    pub(super) is_whole: bool,
}

impl Lines {
    /// The line at `used` in `bytes`, which `side` sent, or what the decoder has to answer: a handover where TLS begins,
    /// else as [`Lines::take`].
    pub(super) fn next<'a>(
        &mut self,
        side: Side,
        bytes: &'a [u8],
        used: &mut usize,
        longest: usize,
    ) -> Result<Line<'a>, Step> {
        let rest = bytes.get(*used..).unwrap_or_default();
        let at_start = !self.overlong[side] && !self.continued[side];
        if at_start && text::next(rest, self.tls) == text::Next::Tls {
            return Err(Step::Handover {
                consumed: *used,
                next: Next::Protocol(&TLS),
            });
        }
        self.take(side, bytes, used, longest)
    }

    /// The line at `used` in `bytes`, which `side` sent; `used` moves behind it. Without a whole line it is the decoder's
    /// answer: to wait for more, or to be done with `bytes` where more than `longest` of the line are there.
    pub(super) fn take<'a>(
        &mut self,
        side: Side,
        bytes: &'a [u8],
        used: &mut usize,
        longest: usize,
    ) -> Result<Line<'a>, Step> {
        let rest = bytes.get(*used..).unwrap_or_default();
        if rest.is_empty() {
            return Err(Step::Consumed);
        }
        let Some((text, length)) = text::first_line(rest) else {
            if rest.len() > longest || self.overlong[side] {
                self.overlong[side] = true;
                return Err(Step::Consumed);
            }
            return Err(Step::NeedMore {
                consumed: *used,
                at_least: rest.len().saturating_add(1),
            });
        };
        *used = used.saturating_add(length);
        let is_overlong = std::mem::take(&mut self.overlong[side]);
        let is_continued = std::mem::take(&mut self.continued[side]);
        Ok(Line {
            text,
            is_whole: !is_overlong && !is_continued,
        })
    }

    /// A switch to TLS was agreed.
    pub(super) const fn expect_tls(&mut self) {
        self.tls = true;
    }

    /// Whether the next line of `side` continues the one before.
    pub(super) fn continues(&mut self, side: Side, continues: bool) {
        self.continued[side] = continues;
    }

    /// After a gap, a line of `side` begins.
    pub(super) fn restart(&mut self, side: Side) {
        self.overlong[side] = false;
        self.continued[side] = false;
    }

    /// After a gap, up to the next line end of `side` nothing is read.
    pub(super) fn pass_rest(&mut self, side: Side) {
        self.overlong[side] = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(lines: &mut Lines, bytes: &[u8]) -> (Vec<(String, bool)>, Step) {
        let (mut used, mut taken) = (0, Vec::new());
        loop {
            match lines.next(Side::A, bytes, &mut used, 8) {
                Ok(line) => taken.push((
                    String::from_utf8_lossy(line.text).into_owned(),
                    line.is_whole,
                )),
                Err(step) => return (taken, step),
            }
        }
    }

    fn named(text: &str, is_whole: bool) -> (String, bool) {
        (text.to_owned(), is_whole)
    }

    #[test]
    fn a_line_without_its_end_is_waited_for() {
        let (taken, step) = all(&mut Lines::default(), b"a b\r\nc");
        assert_eq!(taken, [named("a b", true)]);
        assert!(matches!(
            step,
            Step::NeedMore {
                consumed: 5,
                at_least: 2
            }
        ));
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_to_its_end() {
        let mut lines = Lines::default();
        let (taken, step) = all(&mut lines, b"123456789");
        assert!(taken.is_empty() && matches!(step, Step::Consumed));
        // A binary byte inside a line is no TLS.
        let (taken, step) = all(&mut lines, b"\x16\x03\nnext\n");
        assert_eq!(taken, [named("\u{16}\u{3}", false), named("next", true)]);
        assert!(matches!(step, Step::Consumed));
    }

    #[test]
    fn a_continued_line_is_not_whole() {
        let mut lines = Lines::default();
        lines.continues(Side::A, true);
        let (taken, _) = all(&mut lines, b"tail\nnext\n");
        assert_eq!(taken, [named("tail", false), named("next", true)]);
    }

    #[test]
    fn tls_takes_over_where_a_line_would_begin() {
        let mut lines = Lines::default();
        let (taken, step) = all(&mut lines, b"ok\n\x80\x2e\n\x16\x03\x01");
        assert_eq!(taken.len(), 2, "nothing was agreed");
        assert!(matches!(step, Step::Handover { consumed: 6, .. }));
        lines.expect_tls();
        let (_, step) = all(&mut lines, b"ok\n\x80\x2e");
        assert!(matches!(step, Step::Handover { consumed: 3, .. }));
    }
}
