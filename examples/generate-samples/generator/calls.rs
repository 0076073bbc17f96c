//! Sample "um-lync-calls": telephone calls of Unified Messaging and Lync, signalling and media, good and bad.

use std::net::SocketAddr;

use super::hosts::{CAS13, GATEWAY1, GATEWAY2, GATEWAY3, MBX13, UM1, at};
use super::lync;
use super::media::{self, Codec, G723, PCMU, Talk};
use super::rpc::Ends;
use super::sip::{Dialogue, Media};
use super::tcp::{Side, Tcp};
use super::trace::{Announced, Call, Finished, Flow, START, Trace};

const SECOND: u64 = 1_000_000;
/// 09:00:00, one hour after the site's sample.
const LATER: u64 = START + 3600;
const UM_AGENT: &str = "MSExchangeUM/14.03.0123.002";
const ROUTER_AGENT: &str = "MSExchangeUM/15.00.0847.030";

pub(crate) fn calls() -> Finished {
    let mut trace = Trace::new(LATER, 5060);
    plain_call(&mut trace);
    secure_call(&mut trace);
    odd_port(&mut trace);
    redirected(&mut trace);
    over_udp(&mut trace);
    lync::call(&mut trace);
    lync::outside_the_range(&mut trace);
    unannounced(&mut trace);
    trace.finish()
}

/// Gateway to UM over TCP: the INVITE spans two segments, 100 and 180 share one.
fn plain_call(trace: &mut Trace) {
    let ends = (at(GATEWAY1, 41_200), at(UM1, 5060));
    let dialogue = over_tcp("call-plain-1@10.0.2.5", ends.1, UM_AGENT);
    let (caller, called) = (at(GATEWAY1, 20_000), at(UM1, 27_012));
    let (offer, answer) = (clear(caller, PCMU), clear(called, PCMU));
    let mut tcp = Tcp::open(trace, SECOND, ends.0, ends.1);
    let invite = dialogue.request("INVITE", 1, "", Some(&offer.sdp()));
    let half = invite.len() * 2 / 3;
    tcp.send_in(Side::Client, invite.as_bytes(), half);
    let trying = dialogue.response("100 Trying", "INVITE", "", None);
    let ringing = dialogue.response("180 Ringing", "INVITE", "", None);
    tcp.server(format!("{trying}{ringing}").as_bytes());
    tcp.pause(700_000);
    answered(tcp, &dialogue, &answer);
    signalling(
        trace,
        ends,
        "a call to UM: INVITE in two segments, two answers in one segment",
    );
    let talk = Talk {
        at: 2 * SECOND,
        caller,
        called,
        codec: PCMU,
        packets: 10,
        secure: false,
        lost: Some(6),
    };
    speech(
        trace,
        &dialogue,
        talk,
        (at(GATEWAY1, 20_001), at(UM1, 27_013)),
        &[],
    );
}

/// A call from the first gateway over TCP.
fn over_tcp(
    call_id: &'static str,
    called: SocketAddr,
    server_agent: &'static str,
) -> Dialogue<'static> {
    Dialogue {
        call_id,
        caller: GATEWAY1,
        called,
        transport: "TCP",
        server_agent,
    }
}

fn invite(tcp: &mut Tcp<'_>, dialogue: &Dialogue<'_>, offer: &Media<'_>) {
    let request = dialogue.request("INVITE", 1, "", Some(&offer.sdp()));
    tcp.client(request.as_bytes());
}

/// What the connection of a call to Unified Messaging is.
fn signalling(trace: &mut Trace, ends: Ends, note: &'static str) {
    let flow = Flow::tcp(ends.0, ends.1, "um_sip");
    trace.flow(flow.proves(&["sip"]).note(note));
}

/// Eight packets each way, in clear, none lost.
fn short(at: u64, caller: SocketAddr, called: SocketAddr) -> Talk {
    Talk {
        at,
        caller,
        called,
        codec: G723,
        packets: 8,
        secure: false,
        lost: None,
    }
}

/// 200, ACK, and after the talk BYE with its 200.
fn answered(mut tcp: Tcp<'_>, dialogue: &Dialogue<'_>, answer: &Media<'_>) {
    tcp.server(
        dialogue
            .response("200 OK", "INVITE", "", Some(&answer.sdp()))
            .as_bytes(),
    );
    tcp.client(dialogue.request("ACK", 1, "", None).as_bytes());
    tcp.pause(1_600_000);
    tcp.client(dialogue.request("BYE", 2, "", None).as_bytes());
    tcp.server(dialogue.response("200 OK", "BYE", "", None).as_bytes());
    tcp.close();
}

fn clear(endpoint: SocketAddr, codec: Codec) -> Media<'static> {
    Media {
        endpoint,
        profile: "RTP/AVP",
        format: codec.format(),
        attributes: "",
    }
}

/// Both streams with RTCP beside them, and the records of the call.
fn speech(
    trace: &mut Trace,
    dialogue: &Dialogue<'static>,
    talk: Talk,
    control: Ends,
    findings: &'static [&'static str],
) {
    let streams = talk.play(trace);
    // The matrix speaks of no path between two gateways.
    let verdict = if talk.called.ip() == GATEWAY2 {
        "undocumented"
    } else {
        "documented"
    };
    let flow = Flow::udp(talk.caller, talk.called, "media")
        .proves(&["rtp"])
        .verdict(verdict)
        .finds(findings);
    let note = match (talk.secure, findings) {
        (true, _) => "SRTP announced by a=crypto in the signalling",
        (false, []) => "RTP both ways between the ports that SDP announced",
        (false, _) => "RTP on an odd port, as SDP announced it",
    };
    let encryption = if talk.secure { "srtp" } else { "none" };
    trace.flow(flow.encrypted(encryption).note(note));
    media::reports(trace, talk.at + 270_000, control, talk.codec, &streams);
    trace.flow(
        Flow::udp(control.0, control.1, "media")
            .proves(&["rtcp"])
            .encrypted(encryption)
            .verdict(verdict)
            .note("RTCP beside it: sender and receiver report"),
    );
    for endpoint in [talk.caller, talk.called] {
        announce(
            trace,
            dialogue.call_id,
            endpoint,
            if talk.secure { "RTP/SAVP" } else { "RTP/AVP" },
        );
    }
    trace.calls.push(Call {
        id: Some(dialogue.call_id),
        result: Some(200),
        streams,
    });
}

fn announce(trace: &mut Trace, call: &str, endpoint: SocketAddr, profile: &'static str) {
    trace.announced.push(Announced {
        kind: "media",
        endpoint,
        what: call.to_owned(),
        name: profile,
        service: "media",
    });
}

/// SRTP with its keys in SDP, RTCP on a port of its own choice.
fn secure_call(trace: &mut Trace) {
    let ends = (at(GATEWAY1, 41_210), at(UM1, 5060));
    let dialogue = over_tcp("call-secure-2@10.0.2.5", ends.1, UM_AGENT);
    let (caller, called) = (at(GATEWAY1, 20_010), at(UM1, 27_020));
    let keys = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
    let offered = format!("a=rtcp:20411\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {keys}\r\n");
    let answered_with = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {keys}\r\n");
    let offer = Media {
        endpoint: caller,
        profile: "RTP/SAVP",
        format: G723.format(),
        attributes: &offered,
    };
    let answer = Media {
        endpoint: called,
        profile: "RTP/SAVP",
        format: G723.format(),
        attributes: &answered_with,
    };
    let mut tcp = Tcp::open(trace, 5 * SECOND, ends.0, ends.1);
    invite(&mut tcp, &dialogue, &offer);
    tcp.server(
        dialogue
            .response("100 Trying", "INVITE", "", None)
            .as_bytes(),
    );
    tcp.pause(500_000);
    answered(tcp, &dialogue, &answer);
    signalling(
        trace,
        ends,
        "a call with RTP/SAVP, a=crypto and a=rtcp: the keys of SRTP travel in clear",
    );
    let talk = Talk {
        secure: true,
        ..short(5_800_000, caller, called)
    };
    speech(
        trace,
        &dialogue,
        talk,
        (at(GATEWAY1, 20_411), at(UM1, 27_021)),
        &[],
    );
}

fn odd_port(trace: &mut Trace) {
    let ends = (at(GATEWAY1, 41_220), at(UM1, 5060));
    let dialogue = over_tcp("call-odd-3@10.0.2.5", ends.1, UM_AGENT);
    let (caller, called) = (at(GATEWAY1, 20_031), at(UM1, 27_045));
    let mut tcp = Tcp::open(trace, 9 * SECOND, ends.0, ends.1);
    invite(&mut tcp, &dialogue, &clear(caller, G723));
    tcp.pause(400_000);
    answered(tcp, &dialogue, &clear(called, G723));
    signalling(trace, ends, "a call whose media ports are odd");
    let talk = short(9_600_000, caller, called);
    speech(
        trace,
        &dialogue,
        talk,
        (at(GATEWAY1, 20_032), at(UM1, 27_046)),
        &["EXW302"],
    );
}

/// Exchange 2013: the call router on Client Access redirects to the UM service of a Mailbox server.
fn redirected(trace: &mut Trace) {
    let ends = (at(GATEWAY1, 41_230), at(CAS13, 5060));
    let (caller, called) = (at(GATEWAY1, 20_040), at(MBX13, 28_100));
    let dialogue = over_tcp("call-redirect-4@10.0.2.5", ends.1, ROUTER_AGENT);
    let contact = "Contact: <sip:200@10.0.0.46:5062;transport=tcp>\r\n";
    let mut tcp = Tcp::open(trace, 13 * SECOND, ends.0, ends.1);
    invite(&mut tcp, &dialogue, &clear(caller, G723));
    tcp.server(dialogue.redirect(contact).as_bytes());
    tcp.client(dialogue.request("ACK", 1, "", None).as_bytes());
    tcp.close();
    signalling(
        trace,
        ends,
        "the call router answers 302: go to 10.0.0.46:5062",
    );
    announce(trace, dialogue.call_id, caller, "RTP/AVP");
    trace.calls.push(Call {
        id: Some(dialogue.call_id),
        result: Some(302),
        streams: vec![],
    });

    let ends = (at(GATEWAY1, 41_231), at(MBX13, 5062));
    let dialogue = Dialogue {
        call_id: "call-redirected-5@10.0.2.5",
        called: ends.1,
        ..dialogue
    };
    let mut tcp = Tcp::open(trace, 13_300_000, ends.0, ends.1);
    invite(&mut tcp, &dialogue, &clear(caller, G723));
    tcp.pause(300_000);
    answered(tcp, &dialogue, &clear(called, G723));
    signalling(trace, ends, "the redirected call at the Mailbox server");
    let talk = short(13_800_000, caller, called);
    speech(
        trace,
        &dialogue,
        talk,
        (at(GATEWAY1, 20_041), at(MBX13, 28_101)),
        &[],
    );

    let talk = short(16 * SECOND, at(GATEWAY1, 20_050), at(CAS13, 30_000));
    let streams = talk.play_one_way(trace);
    trace.flow(
        Flow::udp(talk.caller, talk.called, "media")
            .proves(&["rtp"])
            .encrypted("unknown")
            .state("one_way")
            .verdict("undocumented")
            .finds(&["EXW301", "EXW304"])
            .note("RTP to the call router, which never handles media"),
    );
    trace.calls.push(Call {
        id: None,
        result: None,
        streams,
    });
}

/// SIP over UDP between two gateways: the INVITE is larger than a packet and travels in two fragments.
fn over_udp(trace: &mut Trace) {
    let ends = (at(GATEWAY1, 5060), at(GATEWAY2, 5060));
    let dialogue = Dialogue {
        call_id: "call-fragments-6@10.0.2.5",
        caller: GATEWAY1,
        called: ends.1,
        transport: "UDP",
        server_agent: "sample gateway",
    };
    let (caller, called) = (at(GATEWAY1, 20_060), at(GATEWAY2, 22_060));
    let candidates: String = (1..=12)
        .map(|number| {
            format!(
                "a=candidate:{number} 1 UDP {} 10.0.2.5 {} typ host\r\n",
                2_130_706_431 - number,
                20_060
            )
        })
        .collect();
    let offer = Media {
        endpoint: caller,
        profile: "RTP/AVP",
        format: G723.format(),
        attributes: &candidates,
    };
    let history: String = (1..=6)
        .map(|n| {
            format!("History-Info: <sip:20{n}@10.0.2.6?Reason=SIP%3Bcause%3D302>;index={n}\r\n")
        })
        .collect();
    let messages = [
        (
            0,
            true,
            dialogue.request("INVITE", 1, &history, Some(&offer.sdp())),
        ),
        (
            4,
            false,
            dialogue.response("100 Trying", "INVITE", "", None),
        ),
        (
            310,
            false,
            dialogue.response("200 OK", "INVITE", "", Some(&clear(called, G723).sdp())),
        ),
        (316, true, dialogue.request("ACK", 1, "", None)),
        (1900, true, dialogue.request("BYE", 2, "", None)),
        (1904, false, dialogue.response("200 OK", "BYE", "", None)),
    ];
    for (millis, forth, message) in messages {
        let (from, to) = if forth { ends } else { (ends.1, ends.0) };
        trace.udp(18 * SECOND + millis * 1000, from, to, message.as_bytes());
    }
    trace.flow(
        Flow::udp(ends.0, ends.1, "sip")
            .proves(&["sip"])
            .verdict("undocumented")
            .note("SIP over UDP between gateways: the INVITE comes in two IP fragments"),
    );
    let talk = short(18_400_000, caller, called);
    speech(
        trace,
        &dialogue,
        talk,
        (at(GATEWAY1, 20_061), at(GATEWAY2, 22_061)),
        &[],
    );
}

fn unannounced(trace: &mut Trace) {
    let talk = short(27 * SECOND, at(GATEWAY3, 21_000), at(UM1, 21_500));
    let streams = talk.play(trace);
    trace.flow(
        Flow::udp(talk.caller, talk.called, "media")
            .proves(&["rtp"])
            .encrypted("unknown")
            .finds(&["EXW301"])
            .note("RTP between a gateway and UM that no signalling announced"),
    );
    trace.calls.push(Call {
        id: None,
        result: None,
        streams,
    });
}
