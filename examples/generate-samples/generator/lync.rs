//! Sample "um-lync-calls", part: Lync, whose signalling is hidden in TLS.

use super::hosts::{LYNC_CLIENT, MEDIATION, UM1, at};
use super::media::{self, RTAUDIO, Talk};
use super::rpc::Ends;
use super::tcp::Tcp;
use super::tls::{self, Identity};
use super::trace::{Call, Flow, Trace};

const SECOND: u64 = 1_000_000;

/// Signalling in mutual TLS, so nothing says where the media will be; STUN checks come before it.
pub(crate) fn call(trace: &mut Trace) {
    let um = Identity::new(6, &["um1.example.com"]);
    let mediation = Identity::new(7, &["mediation.example.com"]);
    let ends = (at(MEDIATION, 50_077), at(UM1, 5061));
    let mut tcp = Tcp::open(trace, 22 * SECOND, ends.0, ends.1);
    tls::handshakes(&mut tcp, Some("um1.example.com"), &um, Some(&mediation));
    for (question, answer) in [(1380, 420), (0, 650), (310, 0), (320, 280)] {
        if question > 0 {
            let sealed = tls::application(&mut tcp, question);
            tcp.client(&sealed);
        }
        if answer > 0 {
            let sealed = tls::application(&mut tcp, answer);
            tcp.server(&sealed);
        }
        tcp.pause(300_000);
    }
    tls::close(tcp);
    trace.flow(
        Flow::tcp(ends.0, ends.1, "um_sip")
            .proves(&["tls"])
            .encrypted("tls")
            .mutual()
            .verdict("unproven")
            .note("SIP in mutual TLS between the Mediation server and UM; the SIP inside stays hidden"),
    );

    let ends = (at(LYNC_CLIENT, 50_012), at(MEDIATION, 52_304));
    media::check(trace, 22_740_000, ends.1, ends.0);
    let flow = media(trace, 22_700_000, ends);
    trace.flow(flow.note(
        "Lync media inside 50000-59999, after STUN checks; whether it is SRTP cannot be told",
    ));
}

/// Media to the Mediation server on a port outside Lync's range.
pub(crate) fn outside_the_range(trace: &mut Trace) {
    let flow = media(
        trace,
        25_000_000,
        (at(LYNC_CLIENT, 50_020), at(MEDIATION, 40_000)),
    );
    trace.flow(
        flow.finds(&["EXW301", "EXW303"])
            .note("media to a Lync server on port 40000, outside its range"),
    );
}

/// A STUN check, then both directions of RTAudio with the tag of SRTP.
fn media(trace: &mut Trace, start: u64, (caller, called): Ends) -> Flow {
    media::check(trace, start, caller, called);
    let talk = Talk {
        at: start + 100_000,
        caller,
        called,
        codec: RTAUDIO,
        packets: 10,
        secure: true,
        lost: None,
    };
    let streams = talk.play(trace);
    trace.calls.push(Call {
        id: None,
        result: None,
        streams,
    });
    Flow::udp(caller, called, "media")
        .proves(&["stun", "rtp"])
        .encrypted("unknown")
        .finds(&["EXW301"])
}
