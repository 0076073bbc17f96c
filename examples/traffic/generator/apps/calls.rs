//! Calls: SIP over TCP or UDP through the gateway, RTP between telephones, RTCP beside it (RFC 3261, 3550, 8866).

use std::net::SocketAddr;

use super::super::samples::bytes::{cat, pad_to, u8_of, u16_of};
use super::super::samples::sip::{Dialogue, Media};
use super::super::session::{Fate, Path, Session};
use super::super::wire::End;
use super::super::world::{Server, VOICE, World};

/// RTCP every five seconds (RFC 3550 §6.2).
const REPORTS: u64 = 5_000_000;

/// One call: answered after some seconds and talked in, or not answered.
pub(super) fn call(world: &mut World, sessions: &mut Vec<Session>) {
    let caller = world.workplace();
    let inside = world.random.per_mille(500);
    let called = world.workplace();
    let over_tcp = world.random.per_mille(500);
    let media_port = |world: &mut World| 16_384 + 2 * world.random.below(8000) as u16;
    let server = if inside {
        Server::Mediation
    } else {
        Server::Gateway
    };
    let (here, there) = (caller.telephone(media_port(world)), {
        let port = media_port(world);
        if inside && called != caller {
            called.telephone(port)
        } else {
            Server::Gateway.at(port)
        }
    });
    let number = world.random.word();
    let (seconds, is_answered) = (
        (world.random.exponential(150.0) as u32 + 5).min(1200),
        world.random.per_mille(750),
    );
    let signalling = (caller.telephone(5060), server.at(5060));
    let call_id = format!("{number:08x}@{}", signalling.0.address);
    let dialogue = Dialogue {
        call_id: &call_id,
        caller: signalling.0.address,
        called: SocketAddr::new(signalling.1.address, 5060),
        transport: if over_tcp { "TCP" } else { "UDP" },
        server_agent: "office gateway",
    };
    let description = |end: &End| {
        Media {
            endpoint: SocketAddr::new(end.address, end.port),
            profile: "RTP/AVP",
            format: "0 PCMU/8000",
            attributes: "",
        }
        .sdp()
    };
    let ends = if over_tcp {
        (
            caller.telephone(world.random.between(32_768, 60_999) as u16),
            signalling.1,
        )
    } else {
        signalling
    };
    let mut session = if over_tcp {
        Session::tcp("sip", ends, Path::LOCAL, &mut world.random).ending(Fate::Open)
    } else {
        Session::udp("sip", ends)
    };
    let (offer, answer) = (description(&here), description(&there));
    let ringing = world.random.between(1_000_000, 12_000_000) as u64;
    session.client(dialogue.request("INVITE", 1, "", Some(&offer)).into_bytes());
    session
        .server(
            dialogue
                .response("100 Trying", "INVITE", "", None)
                .into_bytes(),
        )
        .after(900);
    session
        .server(
            dialogue
                .response("180 Ringing", "INVITE", "", None)
                .into_bytes(),
        )
        .after(120_000);
    if !is_answered {
        session
            .server(
                dialogue
                    .response("486 Busy Here", "INVITE", "", None)
                    .into_bytes(),
            )
            .after(ringing);
        session
            .client(dialogue.request("ACK", 1, "", None).into_bytes())
            .after(900);
        sessions.push(session.tagged(VOICE));
        return;
    }
    session
        .server(
            dialogue
                .response("200 OK", "INVITE", "", Some(&answer))
                .into_bytes(),
        )
        .after(ringing);
    session
        .client(dialogue.request("ACK", 1, "", None).into_bytes())
        .after(900);
    session
        .client(dialogue.request("BYE", 2, "", None).into_bytes())
        .after(u64::from(seconds) * 1_000_000);
    session
        .server(dialogue.response("200 OK", "BYE", "", None).into_bytes())
        .after(800);
    sessions.push(session.tagged(VOICE));
    let start = ringing + 125_000;
    // G.711 in packets of 20 ms: 50 a second each way
    let media = Session::media(
        (here, there),
        &mut world.random,
        0,
        (160, 160, 20_000),
        seconds * 100,
    );
    sessions.push(media.starting(start).tagged(VOICE));
    let rtcp = |end: End| End {
        port: end.port + 1,
        ..end
    };
    let mut reports = Session::udp("rtcp", (rtcp(here), rtcp(there)));
    let sources = [world.random.word(), world.random.word()];
    for number in 1..=seconds / 5 {
        let (one, other) = (
            report(sources, number),
            report([sources[1], sources[0]], number),
        );
        reports.client(one).after(REPORTS - 60_000);
        reports.server(other).after(60_000);
    }
    if seconds >= 5 {
        sessions.push(reports.starting(start + REPORTS).tagged(VOICE));
    }
}

/// A sender report with one block, and a description (RFC 3550 §6.4.1, §6.5).
fn report([own, other]: [u32; 2], number: u32) -> Vec<u8> {
    let packets = number * 250;
    let words = [
        own,
        3_923_625_600 + number * 5,
        0,
        packets * 160,
        packets,
        packets * 160,
        other,
        0,
        packets,
        9,
        0,
        0,
    ];
    let body: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    let name = b"telephone@example.com";
    let mut chunk = cat(&[&own.to_be_bytes(), &[1, u8_of(name.len())], name, &[0]]);
    pad_to(&mut chunk, 4);
    cat(&[
        &[0x81, 200, 0, 12],
        &body,
        &[0x81, 202],
        &u16_of(chunk.len() / 4).to_be_bytes(),
        &chunk,
    ])
}
