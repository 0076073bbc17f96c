//! Media that nobody announced, or at ports and hosts where the documents do not have them.

use std::net::SocketAddr;

use super::super::hosts::{CAS13, GATEWAY1, LYNC_CLIENT, MBX13, MEDIATION, UM1, at};
use super::super::media::{PCMU, RTAUDIO, Talk, allocate};
use super::super::trace::Trace;
use super::calls::{answered, called, caller};
use super::{Cases, SECOND};

fn talk(trace: &mut Trace, caller: SocketAddr, called: SocketAddr) {
    let is_lync = called.ip() == MEDIATION;
    Talk {
        at: SECOND,
        caller,
        called,
        codec: if is_lync { RTAUDIO } else { PCMU },
        packets: 20,
        secure: is_lync,
        lost: None,
    }
    .play(trace);
}

pub(super) fn add(cases: &mut Cases) {
    cases.raises(
        "EXW301",
        "RTP beside a call that announced other ports",
        |t| {
            answered(t, "RTP/AVP");
            talk(t, at(GATEWAY1, 21_000), at(UM1, 21_500));
        },
    );
    cases.spares(
        "EXW301",
        "RTP between the ports that a call announced",
        |t| {
            answered(t, "RTP/AVP");
            talk(t, caller(), called());
        },
    );
    cases.raises("EXW302", "RTP to an odd port of UM", |t| {
        talk(t, caller(), at(UM1, 27_045))
    });
    cases.spares(
        "EXW302",
        "RTP from an odd port of a gateway to an even one",
        |t| talk(t, at(GATEWAY1, 20_031), called()),
    );
    let mediated = |t: &mut Trace, port: u16| talk(t, at(LYNC_CLIENT, 50_020), at(MEDIATION, port));
    cases.raises(
        "EXW303",
        "media of a Mediation server on port 40000",
        move |t| mediated(t, 40_000),
    );
    cases.spares(
        "EXW303",
        "media of a Mediation server on port 50000",
        move |t| mediated(t, 50_000),
    );
    let relay = at([192, 0, 2, 30].into(), 3478);
    let client = at(LYNC_CLIENT, 50_044);
    cases.raises(
        "EXW313",
        "a relay that refuses a signed request as it refused the first",
        move |t| allocate(t, SECOND, client, relay, false),
    );
    cases.spares(
        "EXW313",
        "a relay that asks for credentials, and takes them",
        move |t| allocate(t, SECOND, client, relay, true),
    );
    cases.raises("EXW304", "RTP to the call router", |t| {
        talk(t, caller(), at(CAS13, 30_000))
    });
    cases.spares(
        "EXW304",
        "RTP to the Mailbox server of the same version",
        |t| talk(t, caller(), at(MBX13, 30_000)),
    );
}
