//! Captures as lists of frames, and the pipeline from files to judged flows.
#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]

#[path = "../signature_support/mod.rs"]
mod signature_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use exwire::attribution::Judged;
use exwire::capture::{Block, Chain, Grouping, Input, Options, Reader, plan};
use exwire::scan::{self, Scanned};
use exwire::signature::Signatures;
use exwire::topology::Topology;
pub use signature_support::signatures;

/// A frame as it lies in a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub nanos: i64,
    pub bytes: Vec<u8>,
    pub wire_len: u32,
}

/// The frames of one link type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    pub link: u16,
    pub frames: Vec<Frame>,
}

impl Recording {
    /// Reads the files as one chain. They must have one link type.
    pub fn read(paths: &[PathBuf]) -> Self {
        Self::read_chain(&chain(paths)).unwrap()
    }

    /// Reads what can be read of one file; none where that is nothing, or of several link types.
    pub fn read_one(path: &Path) -> Option<Self> {
        let inputs = [Input::Path(path.to_owned())];
        let chain = plan(&inputs, Grouping::Chain).ok()?.chains.pop()?;
        Self::read_chain(&chain)
    }

    fn read_chain(chain: &Chain) -> Option<Self> {
        let mut reader = Reader::open(chain, &Options::default()).ok()?;
        let (mut block, mut frames, mut link) = (Block::new(), Vec::new(), None);
        while reader.fill(&mut block).ok()? {
            for packet in block.packets() {
                if *link.get_or_insert(packet.link.0) != packet.link.0 {
                    return None;
                }
                frames.push(Frame {
                    nanos: packet.time.nanos(),
                    bytes: packet.bytes.to_vec(),
                    wire_len: packet.wire_len,
                });
            }
        }
        Some(Self {
            link: link?,
            frames,
        })
    }

    /// A pcap file of some of the frames, with nanoseconds, each cut to the snap length.
    pub fn pcap(&self, range: std::ops::Range<usize>, snap: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for word in [
            0xa1b2_3c4d,
            0x0004_0002,
            0,
            0,
            262_144,
            u32::from(self.link),
        ] {
            out.extend(u32::to_le_bytes(word));
        }
        for frame in &self.frames[range] {
            let bytes = &frame.bytes[..frame.bytes.len().min(snap)];
            let second = 1_000_000_000;
            for word in [
                frame.nanos.div_euclid(second) as u32,
                frame.nanos.rem_euclid(second) as u32,
                bytes.len() as u32,
                frame.wire_len,
            ] {
                out.extend(word.to_le_bytes());
            }
            out.extend(bytes);
        }
        out
    }

    /// Writes all frames whole.
    pub fn write(&self, path: &Path) -> PathBuf {
        fs::write(path, self.pcap(0..self.frames.len(), usize::MAX)).unwrap();
        path.to_owned()
    }
}

/// The samples: a name, and the files of its chain.
pub fn samples() -> Vec<(String, Vec<PathBuf>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let mut found = Vec::new();
    for name in [
        "exchange2010-site.pcap",
        "perimeter-unhealthy.pcap",
        "um-lync-calls.pcap",
        "mirror-erspan-vlan.pcapng",
    ] {
        found.push((name.to_owned(), vec![folder.join(name)]));
    }
    let mut rotated: Vec<PathBuf> = fs::read_dir(folder.join("rotated"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    rotated.sort();
    found.push(("rotated".to_owned(), rotated));
    found
}

/// Those of the named real captures that are there; they are no part of the project.
pub fn real(names: &[&str]) -> Vec<(String, Vec<PathBuf>)> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures");
    let named = std::env::var_os("EXWIRE_SHARED").map(|shared| Path::new(&shared).join("captures"));
    let Some(folder) = std::iter::once(beside)
        .chain(named)
        .find(|folder| folder.is_dir())
    else {
        println!("skipped: no folder of real captures");
        return Vec::new();
    };
    let mut found = Vec::new();
    for name in names {
        let path = folder.join(name);
        if path.is_file() {
            found.push(((*name).to_owned(), vec![path]));
        } else {
            println!("skipped: no {name}");
        }
    }
    found
}

/// One chain of all the files.
pub fn chain(paths: &[PathBuf]) -> Chain {
    let inputs: Vec<Input> = paths.iter().cloned().map(Input::Path).collect();
    let mut plan = plan(&inputs, Grouping::Chain).unwrap();
    assert!(plan.rejected.is_empty(), "{:?}", plan.rejected);
    plan.chains.remove(0)
}

/// Scans chains.
pub fn scan(chains: &[Chain], threads: usize) -> Scanned {
    let options = scan::Options {
        threads,
        filter: None,
        memory_limit: None,
    };
    scan::scan(chains, &options, &()).unwrap()
}

/// Judges a scan without a topology.
pub fn judge<'a>(scanned: &Scanned, signatures: &'a Signatures) -> Judged<'a> {
    static UNKNOWN: LazyLock<Topology> = LazyLock::new(Topology::default);
    Judged::of(scanned.ledger.clone(), signatures, &UNKNOWN)
}

/// Numbers that are the same in every run (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    /// Up to `most` different numbers from 1 to below `end`, in order.
    pub fn cuts(&mut self, most: usize, end: usize) -> Vec<usize> {
        let mut cuts = std::collections::BTreeSet::new();
        while end > 1 && cuts.len() < most.min(end - 1) {
            cuts.insert(1 + self.below(end - 1));
        }
        cuts.into_iter().collect()
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
