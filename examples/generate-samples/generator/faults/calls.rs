//! Calls that fail, are not answered, or stay silent.

use std::net::SocketAddr;

use super::super::hosts::{GATEWAY1, UM1, at};
use super::super::media::{Codec, G723, PCMU, Talk};
use super::super::sip::{Dialogue, Media};
use super::super::tcp::Tcp;
use super::super::trace::Trace;
use super::{Cases, SECOND};

const CALL: Dialogue<'static> = Dialogue {
    call_id: "fault-1@10.0.2.5",
    caller: GATEWAY1,
    called: SocketAddr::new(UM1, 5060),
    transport: "TCP",
    server_agent: "MSExchangeUM/14.03.0123.002",
};

pub(super) fn caller() -> SocketAddr {
    at(GATEWAY1, 20_000)
}

pub(super) fn called() -> SocketAddr {
    at(UM1, 27_012)
}

fn media(endpoint: SocketAddr, profile: &'static str) -> Media<'static> {
    Media {
        endpoint,
        profile,
        format: PCMU.format(),
        attributes: "",
    }
}

/// A call that is answered with that profile and lasts twenty seconds.
pub(super) fn answered(trace: &mut Trace, profile: &'static str) {
    let mut tcp = Tcp::open(trace, 0, at(GATEWAY1, 41_200), CALL.called);
    let offer = media(caller(), "RTP/AVP").sdp();
    tcp.client(CALL.request("INVITE", 1, "", Some(&offer)).as_bytes());
    let answer = media(called(), profile).sdp();
    tcp.server(
        CALL.response("200 OK", "INVITE", "", Some(&answer))
            .as_bytes(),
    );
    tcp.client(CALL.request("ACK", 1, "", None).as_bytes());
    tcp.pause(20 * SECOND);
    tcp.client(CALL.request("BYE", 2, "", None).as_bytes());
    tcp.server(CALL.response("200 OK", "BYE", "", None).as_bytes());
    tcp.close();
}

fn talk(trace: &mut Trace, to: SocketAddr, codec: Codec, both: bool) {
    let talk = Talk {
        at: SECOND,
        caller: caller(),
        called: to,
        codec,
        packets: 80,
        secure: false,
        lost: None,
    };
    if both {
        talk.play(trace);
    } else {
        talk.play_one_way(trace);
    }
}

/// A second call half a minute later that takes the same ports, in another form: media of both ends, or nothing.
fn taken_again(trace: &mut Trace, both: bool) {
    let call = Dialogue {
        call_id: "fault-2@10.0.2.5",
        ..CALL
    };
    let audio = |endpoint| Media {
        format: G723.format(),
        ..media(endpoint, "RTP/AVP")
    };
    let start = 30 * SECOND;
    let mut tcp = Tcp::open(trace, start, at(GATEWAY1, 41_201), call.called);
    let offer = audio(caller()).sdp();
    tcp.client(call.request("INVITE", 1, "", Some(&offer)).as_bytes());
    let answer = audio(called()).sdp();
    tcp.server(
        call.response("200 OK", "INVITE", "", Some(&answer))
            .as_bytes(),
    );
    tcp.client(call.request("ACK", 1, "", None).as_bytes());
    tcp.pause(10 * SECOND);
    tcp.client(call.request("BYE", 2, "", None).as_bytes());
    tcp.server(call.response("200 OK", "BYE", "", None).as_bytes());
    tcp.close();
    if both {
        let talk = Talk {
            at: start + SECOND,
            caller: caller(),
            called: called(),
            codec: G723,
            packets: 80,
            secure: false,
            lost: None,
        };
        talk.play(trace);
    }
}

/// An INVITE that is answered so, or not at all.
fn invite(trace: &mut Trace, status: Option<(&str, &str)>) {
    let mut tcp = Tcp::open(trace, 0, at(GATEWAY1, 41_200), CALL.called);
    let offer = media(caller(), "RTP/AVP").sdp();
    tcp.client(CALL.request("INVITE", 1, "", Some(&offer)).as_bytes());
    match status {
        Some((status, extra)) => {
            tcp.server(CALL.response(status, "INVITE", extra, None).as_bytes());
            tcp.client(CALL.request("ACK", 1, "", None).as_bytes());
        }
        None => tcp.pause(33 * SECOND),
    }
    tcp.close();
}

/// So many packets of a stream, whose n-th comes so many microseconds after its turn, or never.
fn stream(trace: &mut Trace, packets: u16, late: impl Fn(u16) -> Option<u64>) {
    let source = trace.random.bytes(4);
    for number in 0..packets {
        let Some(late) = late(number) else { continue };
        let mut packet = vec![0x80, 0];
        packet.extend((1000 + number).to_be_bytes());
        packet.extend((u32::from(number) * 160).to_be_bytes());
        packet.extend(&source);
        packet.extend([0xD5; 160]);
        let at = SECOND + u64::from(number + 1) * 20_000 + late;
        trace.udp(at, caller(), called(), &packet);
    }
}

/// A stream of which every n-th packet is lost.
fn lossy(trace: &mut Trace, every: u16) {
    stream(trace, 150, |number| {
        (number % every != every - 1).then_some(0)
    });
}

/// A queue that fills while eight packets wait, by so many microseconds more for each, and empties at once.
fn unsteady(trace: &mut Trace, more: u64) {
    stream(trace, 300, |number| Some(u64::from(7 - number % 8) * more));
}

/// A stream of which every n-th packet comes after the one behind it.
fn shuffled(trace: &mut Trace, every: u16) {
    stream(trace, 150, |number| {
        Some(if number % every == 1 { 25_000 } else { 0 })
    });
}

pub(super) fn add(cases: &mut Cases) {
    cases.raises("EXW305", "UM refuses with diagnostics", |t| {
        let why = "ms-diagnostics: 15612;source=\"um1.example.com\";reason=\"No dial plan is associated\"\r\n";
        invite(t, Some(("403 Forbidden", why)));
    });
    cases.spares("EXW305", "nobody takes the call", |t| {
        invite(t, Some(("486 Busy Here", "")))
    });
    cases.raises("EXW306", "an INVITE without an answer", |t| invite(t, None));
    cases.spares("EXW306", "an INVITE that is refused", |t| {
        invite(t, Some(("403 Forbidden", "")))
    });
    cases.raises("EXW307", "an answered call without media", |t| {
        answered(t, "RTP/AVP")
    });
    cases.spares("EXW307", "an answered call with media", |t| {
        answered(t, "RTP/AVP");
        talk(t, called(), PCMU, true);
    });
    cases.raises("EXW308", "the caller hears nothing", |t| {
        answered(t, "RTP/AVP");
        talk(t, called(), PCMU, false);
    });
    cases.spares("EXW308", "both hear each other", |t| {
        answered(t, "RTP/AVP");
        talk(t, called(), PCMU, true);
    });
    cases.raises("EXW309", "media go to another port than announced", |t| {
        answered(t, "RTP/AVP");
        talk(t, at(UM1, 30_000), PCMU, false);
    });
    cases.spares("EXW309", "media go where they should", |t| {
        answered(t, "RTP/AVP");
        talk(t, called(), PCMU, false);
    });
    cases.raises("EXW310", "G.723 where only PCMU was announced", |t| {
        answered(t, "RTP/AVP");
        talk(t, called(), G723, true);
    });
    cases.spares("EXW310", "the codec that was announced", |t| {
        answered(t, "RTP/AVP");
        talk(t, called(), PCMU, true);
    });
    cases.raises("EXW311", "every tenth packet is lost", |t| {
        answered(t, "RTP/AVP");
        lossy(t, 10);
    });
    cases.spares("EXW311", "every seventieth packet is lost", |t| {
        answered(t, "RTP/AVP");
        lossy(t, 70);
    });
    let again = |t: &mut Trace, both: bool| {
        answered(t, "RTP/AVP");
        talk(t, called(), PCMU, true);
        taken_again(t, both);
    };
    cases.raises(
        "EXW307",
        "a call without media at the ports of one that had them",
        move |t| again(t, false),
    );
    cases.spares(
        "EXW310",
        "two calls that take the same ports with one codec each",
        move |t| again(t, true),
    );
    cases.raises(
        "EXW314",
        "packets that queue up for 160 ms again and again",
        |t| {
            answered(t, "RTP/AVP");
            unsteady(t, 20_000);
        },
    );
    cases.spares("EXW314", "packets that queue up for 64 ms", |t| {
        answered(t, "RTP/AVP");
        unsteady(t, 8_000);
    });
    cases.raises("EXW315", "every tenth packet behind the next one", |t| {
        answered(t, "RTP/AVP");
        shuffled(t, 10);
    });
    cases.spares("EXW315", "two packets behind the next one", |t| {
        answered(t, "RTP/AVP");
        shuffled(t, 75);
    });
    cases.raises("EXW312", "SRTP at one end only", |t| {
        answered(t, "RTP/SAVP")
    });
    cases.spares("EXW312", "RTP at both ends", |t| answered(t, "RTP/AVP"));
}
