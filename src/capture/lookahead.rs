//! A reader whose next bytes can be looked at before they are taken, however few bytes each read yields.

use std::io::{self, BufRead, Read};

/// Bytes that are buffered; larger reads go past the buffer.
const BUFFER_BYTES: usize = 64 * 1024;

/// A byte source of the capture reader.
pub(super) type Bytes = Box<dyn Read + Send>;

/// A buffered reader with a peek of any length up to its buffer.
pub(super) struct Lookahead {
    inner: Bytes,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The inner reader has said that nothing is left.
    ended: bool,
    /// Somebody has asked for more than there was.
    dry: bool,
    /// An error that a peek met behind the bytes it could look at.
    deferred: Option<io::Error>,
}

impl Lookahead {
    pub(super) fn new(inner: Bytes) -> Self {
        Self {
            inner,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            ended: false,
            dry: false,
            deferred: None,
        }
    }

    /// The next `count` bytes, or all that can be had where there are fewer. They stay.
    ///
    /// # Errors
    /// Where nothing can be had because reading fails. A failure behind some bytes shows once they are taken.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.buffered().len() < count && !self.ended && self.deferred.is_none() {
            match self.read_more() {
                Ok(()) => {}
                Err(error) if self.buffered().is_empty() => return Err(error),
                Err(error) => self.deferred = Some(error),
            }
        }
        let buffered = self.buffered();
        Ok(buffered.get(..count).unwrap_or(buffered))
    }

    /// Whether a reader has asked for more than there was.
    pub(super) fn ran_dry(&self) -> bool {
        self.dry
    }

    fn buffered(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn read_more(&mut self) -> io::Result<()> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
        let Some(room) = self.buffer.get_mut(self.end..) else {
            return Ok(());
        };
        let count = retry(|| self.inner.read(room))?;
        self.ended = count == 0;
        self.end = self.end.saturating_add(count).min(self.buffer.len());
        Ok(())
    }
}

/// Repeats a read that a signal interrupted.
pub(super) fn retry(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl Read for Lookahead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end
            && out.len() >= BUFFER_BYTES
            && !self.ended
            && self.deferred.is_none()
        {
            let count = retry(|| self.inner.read(out))?;
            self.ended = count == 0;
            self.dry |= self.ended;
            return Ok(count);
        }
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Lookahead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            if let Some(error) = self.deferred.take() {
                return Err(error);
            }
            if !self.ended {
                self.read_more()?;
            }
            self.dry |= self.ended;
        }
        Ok(self.buffered())
    }

    fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Yields one byte per read.
    struct Drip(Vec<u8>);

    impl Read for Drip {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() || out.is_empty() {
                return Ok(0);
            }
            out[0] = self.0.remove(0);
            Ok(1)
        }
    }

    /// Fails once its bytes are read.
    struct Failing(&'static [u8]);

    impl Read for Failing {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            match self.0.read(out)? {
                0 => Err(io::ErrorKind::BrokenPipe.into()),
                count => Ok(count),
            }
        }
    }

    #[test]
    fn a_failure_behind_peeked_bytes_shows_after_them() {
        let mut lookahead = Lookahead::new(Box::new(Failing(b"abc")));
        assert_eq!(lookahead.peek(10).unwrap(), b"abc");
        let mut out = vec![0; BUFFER_BYTES];
        assert_eq!(lookahead.read(&mut out).unwrap(), 3);
        assert!(lookahead.read(&mut out).is_err());
        assert!(Lookahead::new(Box::new(Failing(b""))).peek(1).is_err());
    }

    #[test]
    fn a_peek_over_single_byte_reads_takes_nothing() {
        let mut lookahead = Lookahead::new(Box::new(Drip((0..10).collect())));
        assert_eq!(lookahead.peek(4).unwrap(), [0, 1, 2, 3]);
        assert_eq!(lookahead.peek(20).unwrap().len(), 10);
        let mut all = Vec::new();
        lookahead.read_to_end(&mut all).unwrap();
        assert_eq!(all, (0..10).collect::<Vec<u8>>());
        assert!(lookahead.ran_dry());
    }
}
