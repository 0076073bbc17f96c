//! The generator of the samples. Everything is fixed: times, addresses, keys, serial numbers, and the bytes that
//! stand for encrypted data, which come from SplitMix64 (`bytes::Prng`). So each run writes the same bytes, and the
//! manifests say what the captures hold because the generator built it, not because a program read it.
//!
//! Nothing here is taken from a real capture. The generator never uses the library whose tests its samples serve.

#![expect(
    clippy::expect_used,
    reason = "every value is a constant of the samples; a wrong one must stop the generator"
)]

pub(crate) mod bytes;
mod calls;
pub(crate) mod dcerpc;
mod directory;
pub(crate) mod dns;
mod exchange;
#[allow(dead_code, reason = "the tests of findings build them")]
pub(crate) mod faults;
mod files;
mod hosts;
pub(crate) mod kerberos;
pub(crate) mod ldap;
mod lync;
mod manifest;
mod media;
mod mirror;
pub(crate) mod packet;
mod perimeter;
mod rotated;
mod rpc;
pub(crate) mod sip;
mod smtp;
mod tcp;
pub(crate) mod tls;
pub(crate) mod tokens;
mod trace;

use trace::Finished;

/// A file of `samples/`.
pub(crate) struct Generated {
    /// Its path below `samples/`, with slashes.
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

/// A sample: what it is, and what is known of it.
struct Sample {
    name: &'static str,
    captures: Vec<(&'static str, Vec<u8>)>,
    shows: &'static str,
    finished: Finished,
}

/// All files, in the order of their paths.
pub(crate) fn generate() -> Vec<Generated> {
    let samples = samples();
    let mut files: Vec<Generated> = Vec::new();
    let mut add = |path: String, bytes: Vec<u8>| files.push(Generated { path, bytes });
    add(
        "README.md".to_owned(),
        manifest::readme(&samples).into_bytes(),
    );
    for sample in samples {
        let path = format!("expected/{}.toml", sample.name);
        add(path, manifest::expected(&sample).into_bytes());
        for (path, bytes) in sample.captures {
            add(path.to_owned(), bytes);
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

fn samples() -> Vec<Sample> {
    let site = exchange::site();
    let perimeter = perimeter::perimeter();
    let calls = calls::calls();
    let mirror = mirror::mirror(&site);
    let long_lived = rotated::long_lived(&site);
    vec![
        Sample {
            name: "exchange2010-site",
            captures: vec![("exchange2010-site.pcap", files::pcap(&site.frames))],
            shows: "A healthy Exchange 2010 site with an Edge Transport server: mail, EdgeSync, MAPI over dynamic \
                    RPC, directory access, log shipping, cluster heartbeat and clients, some over IPv6 and some \
                    with a VLAN tag. Nothing in it deserves a finding.",
            finished: site,
        },
        Sample {
            name: "perimeter-unhealthy",
            captures: vec![("perimeter-unhealthy.pcap", files::pcap(&perimeter.frames))],
            shows: "What goes wrong around an Edge Transport server, one fault for each flow: clear text, wrong \
                    direction, other services on documented ports, undocumented ports, and traffic that somebody \
                    blocks.",
            finished: perimeter,
        },
        Sample {
            name: "um-lync-calls",
            captures: vec![("um-lync-calls.pcap", files::pcap(&calls.frames))],
            shows: "Telephone calls of Unified Messaging and Lync: SIP over TCP, UDP (fragmented) and TLS, a \
                    redirect by the call router, RTP with RTCP, SRTP, STUN, and media where it should not be.",
            finished: calls,
        },
        Sample {
            name: "rotated",
            captures: rotated::rotated(&long_lived),
            shows: "The flows of `exchange2010-site` that outlive its first 30 seconds, and the lookups before them, \
                    in three pcapng files as `dumpcap` rotates them, with interface statistics and name resolution. \
                    Connections cross the boundaries: read as one chain, each is one flow.",
            finished: long_lived,
        },
        Sample {
            name: "mirror-erspan-vlan",
            captures: vec![(
                "mirror-erspan-vlan.pcapng",
                files::pcapng("mirror0", &mirror.frames, &[]),
            )],
            shows: "Short flows from the first five seconds of `exchange2010-site`, as \
                    mirror ports deliver them: in ERSPAN type II, in VXLAN, and with two VLAN tags.",
            finished: mirror,
        },
    ]
}
