//! Any bytes as a capture: packets are numbered one by one, and how the bytes arrive changes nothing.
#![no_main]

use std::io::{self, Cursor, Read};

use exwire::capture::{Block, Options, Reader};
use libfuzzer_sys::fuzz_target;

/// Gives one byte at a time.
struct Dribble(Cursor<Vec<u8>>);

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let one = buffer.len().min(1);
        self.0.read(&mut buffer[..one])
    }
}

/// Packets as they come, and whether reading failed.
fn packets(stream: impl Read + Send + 'static) -> Option<(Vec<String>, bool)> {
    let mut reader = Reader::from_stream(stream, "fuzz", &Options::default()).ok()?;
    let (mut block, mut packets) = (Block::new(), Vec::new());
    while reader.fill(&mut block).expect("no filter, no error") {
        for packet in block.packets() {
            packets.push(format!("{packet:?}"));
            assert_eq!(packet.number, packets.len() as u64);
        }
    }
    let [file] = reader.summary() else {
        panic!("a stream is one file");
    };
    assert_eq!(file.packets, packets.len() as u64);
    Some((packets, file.error.is_some()))
}

fuzz_target!(|bytes: &[u8]| {
    let at_once = packets(Cursor::new(bytes.to_vec()));
    assert_eq!(at_once, packets(Dribble(Cursor::new(bytes.to_vec()))));
});
