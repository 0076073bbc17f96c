//! Conversations in letters, one word for each segment: `>` from A, `<` from B, then the flags in the order of
//! Wireshark's columns: S(yn), A(ck), F(in), R(st), r (RST with ACK and sequence number 0), d(ata), 0 (window 0).

use super::*;

fn tracker(conversation: &str) -> TcpTracker {
    let mut tracker = TcpTracker::default();
    for (index, word) in conversation.split_whitespace().enumerate() {
        let (side, letters) = word.split_at(1);
        let side = if side == ">" { Side::A } else { Side::B };
        let flag = |letter, flag| {
            if letters.contains(letter) {
                flag
            } else {
                TcpFlags::default()
            }
        };
        let refusal = TcpFlags::RST.union(TcpFlags::ACK);
        let flags = flag('S', TcpFlags::SYN)
            .union(flag('A', TcpFlags::ACK))
            .union(flag('F', TcpFlags::FIN))
            .union(flag('R', TcpFlags::RST))
            .union(flag('r', refusal));
        let tcp = TcpObservation {
            sequence: if letters.contains('r') { 0 } else { 1000 },
            acknowledgment: 0,
            flags,
            window: if letters.contains('0') { 0 } else { 512 },
        };
        let payload_len = u32::from(letters.contains('d'));
        tracker.record(
            Timestamp::from_nanos(index as i64 * 10),
            side,
            &tcp,
            payload_len,
        );
    }
    tracker
}

#[track_caller]
fn is(state: TcpState, conversations: &[&str]) {
    for conversation in conversations {
        assert_eq!(tracker(conversation).state(), state, "{conversation}");
    }
}

#[test]
fn a_syn_without_an_answer_is_attempted() {
    is(
        TcpState::Attempted,
        &[
            ">S", ">S >S >S", "<S", ">Sd",    // fast open
            ">S <S",  // simultaneous, not finished
            ">S >R",  // gave up by itself
            ">S >AR", // the same
        ],
    );
}

#[test]
fn a_rst_that_answers_a_syn_is_refused() {
    is(
        TcpState::Refused,
        &[
            ">S <r",
            "<S >r",
            ">S <AR",      // a middlebox with a sequence number of its own
            ">S <R",       // or without ACK
            ">S <r >S <r", // retries
            "<r",          // the SYN is not in the capture
            ">S >S <r >R", // both
        ],
    );
}

#[test]
fn a_connection_that_was_answered_and_goes_on_is_established() {
    is(
        TcpState::Established,
        &[
            ">S <SA >A",
            ">S <SA",        // half-open
            "<SA",           // backscatter: somebody asked
            ">S >A",         // one direction: the acknowledgment proves the answer
            ">S <A",         // the answer is missing, but it speaks
            ">S <S >SA <SA", // simultaneous open
            ">S <SA >A >Ad <Ad",
            ">S <SA >A >AF <A",    // half-closed
            ">S <r >S <SA >A >Ad", // refused at first
        ],
    );
}

#[test]
fn who_closes_first_is_known_until_parts_are_merged() {
    let ask = ">S <AS >A >dA";
    let closed = |end: &str| tracker(&format!("{ask} {end}")).closed_first();
    assert_eq!(closed(">FA <FA >A"), Some(Side::A));
    assert_eq!(closed("<FA >FA <A"), Some(Side::B));
    assert_eq!(closed("<A"), None);
    let parts = tracker(">S <AS >A >FA").merge(tracker("<FA >A"));
    assert_eq!(
        parts.closed_first(),
        None,
        "the second part began with a FIN"
    );
}

#[test]
fn fin_of_both_sides_is_closed() {
    is(
        TcpState::Closed,
        &[
            ">S <SA >A >AF <AF >A",
            ">S <SA >A <AF >AF >AR", // a RST after the end is a habit of Windows
            ">S >A >Ad >AF",         // one direction
        ],
    );
}

#[test]
fn a_rst_into_an_answered_connection_is_reset() {
    is(
        TcpState::Reset,
        &[
            ">S <SA >R", // half-open scan
            ">S <SA >A <AR",
            ">S <SA >A >AF <AR", // answered FIN with RST
            ">S <SA >A >Ad <Ad >R",
            ">S >A >Ad <AR", // all of B but its RST is missing
        ],
    );
}

#[test]
fn without_any_syn_it_is_midstream() {
    is(
        TcpState::Midstream,
        &[
            ">A",
            ">Ad <A",
            ">Ad <AF >AF",
            ">Ad <AR",
            "<AR",
            "<R",
            ">F <r", // a FIN scan, answered
            ">F",
        ],
    );
}

#[test]
fn the_order_of_segments_does_not_change_the_state() {
    is(
        TcpState::Closed,
        &["<AF >AF >A <SA >S", ">AF <SA >S <AF >A"],
    );
    is(TcpState::Refused, &["<r >S"]);
}

#[test]
fn the_client_asked_or_was_answered() {
    assert_eq!(tracker(">S <SA >A").client(), Some(Side::A));
    assert_eq!(tracker("<S").client(), Some(Side::B));
    assert_eq!(tracker("<SA").client(), Some(Side::A));
    assert_eq!(tracker(">S <S >SA <SA").client(), None);
    assert_eq!(tracker(">S <S <SA").client(), Some(Side::A));
    assert_eq!(tracker(">Ad").client(), None);
}

#[test]
fn a_handshake_has_two_round_trips() {
    let handshake = tracker("<S >SA >Ad <A").handshake().unwrap();
    assert_eq!(
        (handshake.client, handshake.server_ns, handshake.client_ns),
        (Side::B, 10, Some(20))
    );
    assert_eq!(tracker(">S <SA").handshake().unwrap().client_ns, None);
}

#[test]
fn a_handshake_with_retries_or_holes_has_no_round_trip() {
    for conversation in [
        ">S >S <SA >A",
        ">S <SA <SA >A",
        ">S <A",
        "<SA >A",
        ">S <S >SA <SA",
        "<SA >S",
    ] {
        assert_eq!(tracker(conversation).handshake(), None, "{conversation}");
    }
}

#[test]
fn segments_are_counted_by_what_they_say() {
    let tracker = tracker(">S >S <SA >A0 >A0 >AF0 <R0 <r");
    assert_eq!(tracker.syns, PerSide::new(2, 1));
    assert_eq!(tracker.zero_windows, PerSide::new(2, 0));
    assert_eq!(tracker.resets, PerSide::new(0, 2));
}

#[test]
fn the_first_answer_counts_from_the_question_or_from_the_handshake() {
    let first = |conversation| tracker(conversation).first_answer();
    let answer = |is_greeting, server_ns| {
        Some(FirstAnswer {
            is_greeting,
            server_ns,
        })
    };
    assert_eq!(first(">S <SA >A >Ad <A <Ad >Ad <Ad"), answer(false, 20));
    assert_eq!(first(">S <SA >A <A <Ad >Ad"), answer(true, 20));
    assert_eq!(first(">S <SA >A >Ad"), None);
    assert_eq!(first(">Ad <Ad"), None);
}
