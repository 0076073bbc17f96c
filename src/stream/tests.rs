//! Pictures: what went in, and what came out. `[3]` is a gap of three bytes.

use proptest::prelude::*;

use super::super::held::{MAX_HELD_BYTES, MAX_HELD_PIECES};
use super::super::{Chunk, Mark, SegmentKind, Stream};
use super::{JUMP_SEGMENTS, REACH};
use SegmentKind::{InOrder, KeepAlive, OutOfOrder, OutsideWindow, Overlap, Retransmission};

/// The first data byte: near the wrap, so that every picture crosses it.
const START: u32 = u32::MAX - 3;

struct Play {
    stream: Stream,
    out: String,
    kinds: Vec<SegmentKind>,
}

impl Play {
    fn midstream() -> Self {
        Self {
            stream: Stream::default(),
            out: String::new(),
            kinds: Vec::new(),
        }
    }

    fn with_syn() -> Self {
        let mut play = Self::midstream();
        play.stream.syn(START.wrapping_sub(1));
        play
    }

    fn at(self, offset: i64, text: &str) -> Self {
        self.cut(offset, text, text.len() as u32)
    }

    fn cut(mut self, offset: i64, text: &str, wire_len: u32) -> Self {
        let out = &mut self.out;
        let sequence = START.wrapping_add(offset as u32);
        let kind = self.stream.push(
            sequence,
            text.as_bytes(),
            wire_len,
            Mark::default(),
            &mut |chunk| draw(out, chunk),
        );
        self.kinds.push(kind);
        self
    }

    fn ack(mut self, offset: u32) -> Self {
        let out = &mut self.out;
        self.stream
            .acknowledged(START.wrapping_add(offset), &mut |chunk| draw(out, chunk));
        self
    }

    fn finish(mut self) -> Self {
        let out = &mut self.out;
        self.stream.finish(&mut |chunk| draw(out, chunk));
        self
    }

    fn gives(self, picture: &str) -> Self {
        assert_eq!(self.out, picture);
        self
    }

    fn kinds(self, kinds: &[SegmentKind]) -> Self {
        assert_eq!(self.kinds, kinds);
        self
    }
}

fn draw(out: &mut String, chunk: Chunk<'_>) {
    match chunk {
        Chunk::Data(bytes) | Chunk::Held(bytes, _) => {
            out.push_str(std::str::from_utf8(bytes).unwrap())
        }
        Chunk::Gap { bytes } => out.push_str(&format!("[{bytes}]")),
    }
}

#[test]
fn data_in_order_is_given_as_it_comes() {
    let play = Play::with_syn()
        .at(0, "abc")
        .gives("abc")
        .at(3, "def")
        .gives("abcdef");
    assert_eq!(play.stream.counters(), &super::super::Counters::default());
    assert_eq!(play.stream.held_bytes(), 0);
}

#[test]
fn in_order_data_is_not_copied() {
    let mut stream = Stream::default();
    stream.syn(0);
    let payload = *b"abc";
    stream.push(1, &payload, 3, Mark::default(), &mut |chunk| {
        assert!(matches!(chunk, Chunk::Data(bytes) if std::ptr::eq(bytes, payload.as_slice())));
    });
}

#[test]
fn out_of_order_data_waits_for_the_hole_to_fill() {
    Play::with_syn()
        .at(6, "ghi")
        .at(3, "def")
        .gives("")
        .at(0, "abc")
        .gives("abcdefghi")
        .kinds(&[OutOfOrder, OutOfOrder, InOrder]);
}

#[test]
fn what_was_given_is_not_given_again() {
    Play::with_syn()
        .at(0, "abcd")
        .at(0, "abcd")
        .at(1, "bc")
        .at(2, "cdef")
        .gives("abcdef")
        .kinds(&[InOrder, Retransmission, Retransmission, Overlap]);
}

#[test]
fn the_first_copy_wins_and_a_disagreement_is_counted() {
    let play = Play::with_syn()
        .at(2, "CD")
        .at(5, "F")
        .at(0, "abcdefg")
        .gives("abCDeFg")
        .kinds(&[OutOfOrder, OutOfOrder, Overlap]);
    assert_eq!(play.stream.counters().disagreements, 1);
    assert_eq!(play.stream.counters().overlaps, 1);
}

#[test]
fn held_overlaps_in_every_form_give_each_byte_once() {
    // the held piece is "cdef"; then: around it, its head, its tail, inside it, all of it
    for (offset, text, kind) in [
        (1, "bcdefg", Overlap),
        (1, "bcd", Overlap),
        (5, "fg", Overlap),
        (3, "de", Retransmission),
        (2, "cdef", Retransmission),
        (7, "h", OutOfOrder),
        (6, "g", OutOfOrder),
    ] {
        let play = Play::with_syn()
            .at(2, "cdef")
            .at(offset, text)
            .kinds(&[OutOfOrder, kind])
            .at(0, "abcdefgh")
            .gives("abcdefgh");
        assert_eq!(play.stream.counters().disagreements, 0, "{offset} {text}");
        assert_eq!(play.stream.held_bytes(), 0);
    }
}

#[test]
fn a_hole_that_the_other_side_acknowledged_is_a_gap() {
    let play = Play::with_syn()
        .at(0, "abc")
        .at(6, "ghi")
        .ack(3)
        .gives("abc")
        .ack(9)
        .gives("abc[3]ghi");
    assert_eq!(
        (
            play.stream.counters().gaps,
            play.stream.counters().gap_bytes
        ),
        (1, 3)
    );
}

#[test]
fn data_behind_an_acknowledged_hole_is_not_held() {
    Play::with_syn()
        .at(0, "abc")
        .ack(9)
        .gives("abc")
        .at(6, "ghi")
        .gives("abc[3]ghi");
}

#[test]
fn one_acknowledgment_before_its_data_loses_nothing() {
    Play::with_syn()
        .at(0, "abc")
        .ack(6)
        .at(3, "def")
        .ack(6)
        .gives("abcdef");
}

#[test]
fn a_missing_end_is_a_gap_once_a_second_acknowledgment_confirms_it() {
    Play::with_syn()
        .at(0, "abc")
        .ack(9)
        .gives("abc")
        .ack(9)
        .gives("abc[6]");
    Play::with_syn()
        .at(0, "abc")
        .ack(9)
        .finish()
        .gives("abc[6]");
}

#[test]
fn an_acknowledged_fin_is_no_gap() {
    Play::with_syn()
        .at(0, "abc")
        .ack(4)
        .ack(4)
        .ack(4)
        .finish()
        .gives("abc");
}

#[test]
fn the_end_of_the_flow_gives_what_is_held() {
    Play::with_syn()
        .at(3, "def")
        .at(8, "ij")
        .finish()
        .gives("[3]def[2]ij");
}

#[test]
fn a_segment_that_the_snap_length_cut_ends_in_a_gap() {
    let play = Play::with_syn()
        .cut(0, "ab", 5)
        .at(5, "fg")
        .gives("ab[3]fg")
        .cut(9, "jk", 4)
        .at(7, "hi")
        .gives("ab[3]fghijk[2]");
    assert_eq!(
        (
            play.stream.counters().cut_bytes,
            play.stream.counters().gaps
        ),
        (5, 0)
    );
    Play::with_syn().cut(0, "", 4).gives("[4]");
}

#[test]
fn keep_alives_are_no_data() {
    let play = Play::with_syn()
        .at(0, "abc")
        .at(2, "")
        .at(2, "\0")
        .at(3, "d")
        .gives("abcd")
        .kinds(&[InOrder, KeepAlive, KeepAlive, InOrder]);
    assert_eq!(play.stream.counters().keep_alives, 2);
    assert_eq!(play.stream.counters().retransmitted, 0);
}

#[test]
fn swapped_packets_at_a_midstream_start_lose_nothing() {
    for order in [
        [0, 3, 6],
        [0, 6, 3],
        [3, 0, 6],
        [3, 6, 0],
        [6, 0, 3],
        [6, 3, 0],
    ] {
        let mut play = Play::midstream();
        for offset in order {
            play = play.at(offset, &"abcdefghi"[offset as usize..][..3]);
        }
        play.at(9, "jkl").gives("abcdefghijkl");
    }
}

#[test]
fn a_midstream_start_is_fixed_by_an_acknowledgment() {
    Play::midstream()
        .at(0, "abc")
        .gives("")
        .ack(3)
        .gives("abc")
        .at(3, "def")
        .gives("abcdef");
    Play::midstream().at(0, "").ack(0).at(0, "abc").gives("abc");
}

#[test]
fn a_single_midstream_segment_is_given_at_the_end() {
    Play::midstream().at(0, "abc").finish().gives("abc");
}

#[test]
fn a_syn_captured_after_its_data_fixes_the_start() {
    let mut play = Play::midstream().at(3, "def");
    play.stream.syn(START.wrapping_sub(1));
    play.at(0, "abc").gives("abcdef");
}

#[test]
fn far_segments_are_not_believed() {
    let far = REACH as i64 + 100;
    let play = Play::with_syn()
        .at(0, "abc")
        .at(far, "xyz")
        .at(-far, "xyz")
        .at(far, "xyz")
        .at(3, "def")
        .finish()
        .gives("abcdef");
    assert_eq!(play.stream.counters().outside_window, 3);
}

#[test]
fn a_jump_that_goes_on_is_believed() {
    let far = REACH as i64 + 100;
    let mut play = Play::with_syn().at(0, "abc").at(5, "fg");
    for offset in 0..i64::from(JUMP_SEGMENTS) {
        play = play.at(far + offset, "x");
    }
    let lost = far + i64::from(JUMP_SEGMENTS) - 1 - 7;
    play.at(far + i64::from(JUMP_SEGMENTS), "y")
        .gives(&format!("abc[2]fg[{lost}]xy"));
}

#[test]
fn a_jump_back_that_goes_on_is_a_gap_of_unknown_size() {
    let far = REACH as i64 + 100;
    Play::with_syn()
        .at(0, "abc")
        .at(-far, "x")
        .at(1 - far, "y")
        .at(2 - far, "z")
        .at(3 - far, "!")
        .gives("abc[0]z!")
        .kinds(&[InOrder, OutsideWindow, OutsideWindow, OutOfOrder, InOrder]);
}

#[test]
fn a_jump_that_is_acknowledged_is_believed() {
    let far = REACH as i64 + 100;
    Play::with_syn()
        .at(0, "abc")
        .at(far, "xyz")
        .ack(far as u32 + 3)
        .at(far + 3, "def")
        .gives(&format!("abc[{far}]def"));
}

#[test]
fn a_far_acknowledgment_alone_is_not_believed() {
    let far = REACH as u32 + 100;
    Play::with_syn()
        .at(0, "abc")
        .ack(far)
        .ack(far)
        .at(3, "def")
        .finish()
        .gives("abcdef");
}

#[test]
fn a_hole_in_a_one_way_capture_is_given_up_by_bytes() {
    let mut stream = Stream::default();
    stream.syn(0);
    let (mut gap, mut given) = (0, 0);
    let payload = [7; 1000];
    let pushed = MAX_HELD_BYTES / payload.len() + 1;
    for segment in 0..pushed {
        stream.push(
            101 + segment as u32 * 1000,
            &payload,
            1000,
            Mark::default(),
            &mut |chunk| match chunk {
                Chunk::Data(bytes) | Chunk::Held(bytes, _) => given += bytes.len(),
                Chunk::Gap { bytes } => gap += bytes,
            },
        );
    }
    assert_eq!((gap, given), (100, pushed * 1000));
    assert_eq!(stream.held_bytes(), 0);
}

#[test]
fn tiny_segments_beyond_holes_stay_within_the_limit_and_cost_little() {
    let mut stream = Stream::default();
    stream.syn(0);
    let mut given = 0;
    // 200 000 pushes: quadratic time would show
    for segment in 0..200_000_u32 {
        stream.push(2 + segment * 2, b"x", 1, Mark::default(), &mut |chunk| {
            if let Chunk::Data(bytes) | Chunk::Held(bytes, _) = chunk {
                given += bytes.len();
            }
        });
        assert!(stream.held_bytes() <= MAX_HELD_PIECES);
    }
    assert_eq!(given, 200_000 - MAX_HELD_PIECES);
    assert_eq!(stream.counters().gaps as usize, 200_000 - MAX_HELD_PIECES);
}

#[test]
fn a_stopped_stream_only_counts() {
    let mut play = Play::with_syn().at(0, "abc").at(6, "ghi");
    play.stream.stop();
    assert_eq!(play.stream.held_bytes(), 0);
    play.at(3, "def")
        .at(3, "def")
        .at(9, "jkl")
        .at(9, "j")
        .ack(20)
        .ack(20)
        .finish()
        .gives("abc")
        .kinds(&[
            InOrder,
            OutOfOrder,
            InOrder,
            Retransmission,
            OutOfOrder,
            Retransmission,
        ]);
}

#[test]
fn a_stream_in_order_is_small() {
    let size = size_of::<Stream>();
    println!("size_of::<Stream>() = {size}");
    assert!(size <= 96);
}

/// The one true byte at a position.
fn truth(position: u64) -> u8 {
    (position.wrapping_mul(31) >> 3) as u8
}

proptest! {
    #[test]
    fn any_order_of_any_cuts_gives_the_bytes_at_their_positions(
        syn in any::<bool>(),
        steps in prop::collection::vec((0_u64..300, 0_usize..40, 0_u32..3, any::<bool>()), 1..80),
    ) {
        let mut stream = Stream::default();
        let base = START;
        if syn {
            stream.syn(base.wrapping_sub(1));
        }
        let mut chunks = Vec::new();
        let mut sink = |chunk: Chunk<'_>| chunks.push(match chunk {
            Chunk::Data(bytes) | Chunk::Held(bytes, _) => Ok(bytes.to_vec()),
            Chunk::Gap { bytes } => Err(bytes),
        });
        let mut least = u64::MAX;
        for (offset, length, cut, ack) in steps {
            let sequence = base.wrapping_add(offset as u32);
            if ack {
                stream.acknowledged(sequence, &mut sink);
            } else {
                let bytes: Vec<u8> = (0..length as u64).map(|i| truth(offset + i)).collect();
                stream.push(sequence, &bytes, length as u32 + cut, Mark::default(), &mut sink);
                least = least.min(offset);
            }
        }
        stream.finish(&mut sink);
        prop_assert_eq!(stream.held_bytes(), 0);
        prop_assert_eq!(stream.counters().disagreements, 0);
        // what is given ends where the stream stands: count back from there
        let total: u64 = chunks.iter().map(|chunk| chunk.as_ref().map_or_else(|gap| *gap, |bytes| bytes.len() as u64)).sum();
        let end = u64::from(((stream.next & 0xffff_ffff) as u32).wrapping_sub(base));
        let mut at = end.wrapping_sub(total);
        if syn {
            prop_assert_eq!(at, 0);
        }
        for chunk in chunks {
            match chunk {
                Ok(bytes) => for byte in bytes {
                    prop_assert_eq!(byte, truth(at));
                    at += 1;
                },
                Err(gap) => at += gap,
            }
        }
    }

    #[test]
    fn segments_in_any_order_are_one_text(order in Just((0..20_u32).collect::<Vec<_>>()).prop_shuffle()) {
        let mut stream = Stream::default();
        stream.syn(START.wrapping_sub(1));
        let mut out = Vec::new();
        for index in order {
            let bytes = [b'a' + index as u8; 7];
            stream.push(START.wrapping_add(index * 7), &bytes, 7, Mark::default(), &mut |chunk| match chunk {
                Chunk::Data(bytes) | Chunk::Held(bytes, _) => out.extend_from_slice(bytes),
                Chunk::Gap { .. } => panic!("nothing is missing"),
            });
        }
        let expected: Vec<u8> = (0..20).flat_map(|index| [b'a' + index; 7]).collect();
        prop_assert_eq!(out, expected);
    }

    #[test]
    fn hostile_numbers_keep_within_the_limits(
        steps in prop::collection::vec((any::<u32>(), 0_usize..50, any::<u32>(), 0_u8..8), 1..200),
    ) {
        let mut stream = Stream::default();
        let payload = [0; 50];
        for (sequence, length, wire_len, what) in steps {
            match what {
                0 => stream.acknowledged(sequence, &mut |_| ()),
                1 => stream.syn(sequence),
                2 => stream.acknowledged(wire_len % 4096, &mut |_| ()),
                3 => stream.finish(&mut |_| ()),
                4 => { stream.push(sequence, &payload[..length], wire_len, Mark::default(), &mut |_| ()); }
                _ => { stream.push(sequence % 4096, &payload[..length], wire_len % 100, Mark::default(), &mut |_| ()); }
            }
            prop_assert!(stream.held_bytes() <= MAX_HELD_BYTES);
        }
    }
}

#[test]
fn what_waited_is_given_with_the_packet_that_it_came_in() {
    let mut stream = Stream::default();
    let mut given = Vec::new();
    let mut sink = |chunk: Chunk<'_>| {
        given.push(match chunk {
            Chunk::Data(bytes) => (bytes.to_vec(), None),
            Chunk::Held(bytes, mark) => (bytes.to_vec(), Some(mark.frame)),
            Chunk::Gap { .. } => panic!("nothing is missing"),
        });
    };
    let mark = |frame| Mark {
        frame,
        ..Mark::default()
    };
    // No SYN: the first segment waits for the acknowledgment, the third for the second.
    stream.push(10, b"ab", 2, mark(1), &mut sink);
    stream.acknowledged(12, &mut sink);
    stream.push(14, b"ef", 2, mark(3), &mut sink);
    stream.push(12, b"cd", 2, mark(4), &mut sink);
    let expected = [("ab", Some(1)), ("cd", None), ("ef", Some(3))];
    assert_eq!(
        given,
        expected.map(|(text, frame)| (text.as_bytes().to_vec(), frame))
    );
}
