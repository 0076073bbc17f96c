//! Sample "rotated": the long flows of the site's sample as `dumpcap -b duration:30` writes it, in three files whose names carry a
//! counter and the time of opening. Connections cross the boundaries.

use std::net::IpAddr;

use super::files;
use super::hosts::{CAS1, DC1, EDGE1, HUB1, MBX1, MBX2, at};
use super::mirror::{belongs, outlives};
use super::trace::{Finished, START};

const SECOND: u64 = 1_000_000;

/// The boundaries, seconds after the start, and the names of the files that begin there.
const FILES: [(u64, &str); 3] = [
    (0, "rotated/site_00001_20240502080000.pcapng"),
    (30, "rotated/site_00002_20240502080030.pcapng"),
    (60, "rotated/site_00003_20240502080100.pcapng"),
];

/// What the capturing machine had resolved.
const NAMES: [(IpAddr, &str); 6] = [
    (DC1, "dc1.example.com"),
    (HUB1, "hub1.example.com"),
    (MBX1, "mbx1.example.com"),
    (MBX2, "mbx2.example.com"),
    (CAS1, "cas1.example.com"),
    (EDGE1, "edge1.example.com"),
];

/// The flows of the site that live beyond the first boundary, those that came before the others could, and theirs
/// alone of the frames.
pub(crate) fn long_lived(site: &Finished) -> Finished {
    let boundary = (START + 30) * SECOND;
    let flows: Vec<_> = site
        .flows
        .iter()
        .filter(|flow| {
            let prepares = flow.service == Some("dns") || flow.server == at(CAS1, 135);
            prepares || outlives(site, flow, boundary)
        })
        .cloned()
        .collect();
    let frames = site
        .frames
        .iter()
        .filter(|frame| flows.iter().any(|flow| belongs(frame, flow)))
        .cloned()
        .collect();
    let announced = site
        .announced
        .iter()
        .filter(|one| one.endpoint.ip() == CAS1)
        .cloned()
        .collect();
    Finished {
        frames,
        flows,
        announced,
        calls: Vec::new(),
    }
}

/// The three files.
pub(crate) fn rotated(sample: &Finished) -> Vec<(&'static str, Vec<u8>)> {
    let mut next = FILES
        .iter()
        .skip(1)
        .map(|(from, _)| (START + from) * SECOND);
    FILES
        .iter()
        .map(|(from, name)| {
            let time = (START + from) * SECOND..next.next().unwrap_or(u64::MAX);
            let frames: Vec<_> = sample
                .frames
                .iter()
                .filter(|frame| time.contains(&frame.time))
                .cloned()
                .collect();
            (*name, files::pcapng("span0", &frames, &NAMES))
        })
        .collect()
}
