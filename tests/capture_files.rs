//! Captures as they come: compressed, in folders, rotated, filtered, or not captures at all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "a test may panic"
)]

mod capture_support;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use capture_support::{Drip, LITTLE, Seen, drain, pcap, pcapng, read, read_bytes};
use exwire::capture::{
    CaptureError, Chain, Compression, FileSummary, Grouping, Input, Options, Plan, Reader, plan,
};
use proptest::prelude::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let small_blocks =
        lz4_flex::frame::FrameInfo::new().block_size(lz4_flex::frame::BlockSize::Max64KB);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(small_blocks, Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

type Encode = fn(&[u8]) -> Vec<u8>;

const ENCODERS: [(Compression, Encode); 5] = [
    (Compression::Gzip, gzip),
    (Compression::Zstd, zstd),
    (Compression::Lz4, lz4),
    (Compression::Bzip2, bzip2),
    (Compression::Xz, xz),
];

/// A capture whose bytes do not compress away: 200 packets of 1000 bytes.
fn noisy() -> Vec<u8> {
    let mut state = 1_u32;
    let mut packets = Vec::new();
    for second in 0..200_u32 {
        let body: Vec<u8> = (0..1000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        packets.push((second, body));
    }
    let packets: Vec<(u32, &[u8])> = packets
        .iter()
        .map(|(second, body)| (*second, body.as_slice()))
        .collect();
    pcap(&packets)
}

#[test]
fn every_compression_gives_the_packets_of_the_plain_file() {
    let plain = noisy();
    let (expected, _) = read_bytes(&plain).unwrap();
    for (compression, encode) in ENCODERS {
        let (seen, summary) = read_bytes(&encode(&plain)).unwrap();
        assert_eq!(seen, expected, "{compression}");
        assert_eq!(summary.compression, [compression]);
        assert!(summary.error.is_none());
    }
}

#[test]
fn members_behind_each_other_are_one_stream() {
    let plain = noisy();
    let (expected, _) = read_bytes(&plain).unwrap();
    for (compression, encode) in ENCODERS {
        // A record spans the members; zeros pad them, as xz and tapes do.
        let (a, b) = plain.split_at(70_001);
        let file = [encode(a), encode(&[]), encode(b), vec![0; 8]].concat();
        let (seen, summary) = read_bytes(&file).unwrap();
        assert!(
            summary.error.is_none(),
            "{compression}: {:?}",
            summary.error
        );
        assert_eq!(seen, expected, "{compression}");
    }
}

#[test]
fn skippable_frames_are_passed_over() {
    let plain = pcap(&[(1, b"abc")]);
    for encode in [zstd, lz4] {
        let skippable = [&[0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
        let (seen, summary) = read_bytes(&[skippable, encode(&plain)].concat()).unwrap();
        assert_eq!(seen.len(), 1);
        assert!(summary.error.is_none());
    }
}

#[test]
fn a_cut_compressed_file_delivers_what_decompresses_and_says_so() {
    let plain = noisy();
    for (compression, encode) in ENCODERS {
        let whole = encode(&plain);
        for cut in [whole.len() - 1, whole.len() - 5, whole.len() / 2] {
            let (seen, summary) = read_bytes(&whole[..cut]).unwrap();
            if compression != Compression::Bzip2 {
                assert!(seen.len() >= 60, "{compression} {cut}: {}", seen.len());
            }
            match &summary.error {
                Some(
                    error @ CaptureError::Truncated {
                        compressed: true, ..
                    },
                ) => {
                    assert!(
                        error.to_string().contains("of the decompressed stream"),
                        "{error}"
                    );
                }
                other => panic!("{compression} {cut}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_damaged_compressed_file_is_malformed() {
    let plain = noisy();
    for (compression, encode) in ENCODERS {
        let mut file = encode(&plain);
        let middle = file.len() / 2;
        for byte in &mut file[middle..middle + 64] {
            *byte ^= 0x5a;
        }
        match read_bytes(&file).unwrap().1.error {
            Some(CaptureError::Malformed {
                compressed: true, ..
            }) => {}
            // lz4 without checksums cannot tell: then a record header may be what is wrong, or nothing at all.
            None | Some(_) if compression == Compression::Lz4 => {}
            other => panic!("{compression}: {other:?}"),
        }
    }
}

#[test]
fn rubbish_behind_a_member_is_reported_after_all_packets() {
    let file = [gzip(&pcap(&[(1, b"abc")])), b"rubbish!".to_vec()].concat();
    let (seen, summary) = read_bytes(&file).unwrap();
    assert_eq!(seen.len(), 1);
    assert!(matches!(
        summary.error,
        Some(CaptureError::Malformed { .. })
    ));
}

#[test]
fn compression_may_be_nested_once() {
    let plain = pcap(&[(1, b"abc")]);
    let (seen, summary) = read_bytes(&zstd(&gzip(&plain))).unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(summary.compression, [Compression::Zstd, Compression::Gzip]);
    let error = read_bytes(&xz(&zstd(&gzip(&plain)))).unwrap_err();
    assert!(matches!(error, CaptureError::NotCapture { .. }), "{error}");
}

#[test]
fn single_byte_reads_of_compressed_streams_give_the_same_packets() {
    let plain = pcapng(&[(1, b"abc"), (2, b"defg")]);
    let (expected, _) = read_bytes(&plain).unwrap();
    for (compression, encode) in ENCODERS {
        let two = [encode(&plain[..50]), encode(&plain[50..])].concat();
        let (seen, summary) = read(Drip::new(&two)).unwrap();
        assert_eq!(seen, expected, "{compression}");
        assert!(summary.error.is_none());
    }
}

/// A folder of a test, with files in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn inputs(&self, names: &[&str]) -> Vec<Input> {
        names
            .iter()
            .map(|name| Input::Path(self.path(name)))
            .collect()
    }

    /// The names of the files of each chain.
    fn chains(&self, plan: &Plan) -> Vec<Vec<String>> {
        let name = |input: &Input| {
            let name = input.path().strip_prefix(self.0.path()).unwrap();
            name.to_string_lossy().into_owned()
        };
        plan.chains
            .iter()
            .map(|chain| chain.inputs().iter().map(name).collect())
            .collect()
    }
}

fn read_chain(chain: &Chain) -> (Vec<Seen>, Vec<FileSummary>) {
    drain(Reader::open(chain, &Options::default()).unwrap())
}

#[test]
fn a_folder_is_read_recursively_and_sorted_and_other_files_are_counted() {
    let folder = Folder::new(&[
        ("b/late.cap", pcap(&[(9, b"x")])),
        ("b/notes.txt", b"hello".to_vec()),
        ("a.dat", gzip(&pcapng(&[(1, b"x")]))),
        ("z.pcap", b"".to_vec()),
        ("old.cap", b"TRSNIFF data    \x1a".to_vec()),
    ]);
    let plan = plan(&[Input::Path(folder.0.path().to_owned())], Grouping::Auto).unwrap();
    assert_eq!(folder.chains(&plan), [["a.dat"], ["b/late.cap"]]);
    assert_eq!(plan.passed_over.len(), 2);
    // A capture in a format that is not read is worth more than a count.
    assert!(matches!(
        plan.rejected[..],
        [CaptureError::Unsupported { .. }]
    ));
}

#[test]
fn inputs_that_cannot_be_read_have_messages_of_their_own() {
    let folder = Folder::new(&[
        ("empty/readme.txt", b"hello".to_vec()),
        ("paper.pcap", b"%PDF-1.5 ...".to_vec()),
        ("nothing.pcap", Vec::new()),
        ("sniffer.enc", b"TRSNIFF data    \x1a".to_vec()),
    ]);
    let message = |name: &str| {
        let error = plan(&folder.inputs(&[name]), Grouping::Auto)
            .unwrap_err()
            .to_string();
        let path = folder.path(name).display().to_string();
        error.strip_prefix(&path).unwrap().to_owned()
    };
    assert_eq!(
        message("gone.pcap"),
        ": expected a capture or a folder, found no such file"
    );
    assert_eq!(
        message("empty"),
        ": expected a folder with captures, found none (files: 1)"
    );
    assert_eq!(
        message("paper.pcap"),
        ": expected a capture (pcap, pcapng, snoop or Network Monitor), found a PDF document"
    );
    assert_eq!(
        message("nothing.pcap"),
        ": expected a capture, found an empty file"
    );
    assert_eq!(
        message("sniffer.enc"),
        ": expected pcap, pcapng, snoop or Network Monitor, found a Sniffer capture; convert it: editcap -F pcapng IN OUT.pcapng"
    );
    assert!(matches!(
        plan(&[], Grouping::Auto),
        Err(CaptureError::NoInput)
    ));
}

#[test]
fn one_bad_input_does_not_stop_the_others() {
    let folder = Folder::new(&[
        ("good.pcap", pcap(&[(1, b"x")])),
        ("bad.pcap", b"text".to_vec()),
    ]);
    let plan = plan(
        &folder.inputs(&["bad.pcap", "good.pcap", "good.pcap"]),
        Grouping::Auto,
    )
    .unwrap();
    assert_eq!(folder.chains(&plan), [["good.pcap"]]);
    assert_eq!(plan.rejected.len(), 1);
}

#[test]
fn a_series_of_each_rotating_writer_is_one_chain_in_time_order() {
    for names in [
        [
            "ex_00001_20240101120000.pcapng",
            "ex_00002_20240101120010.pcapng",
            "ex_00003_20240101120020.pcapng",
        ],
        ["trace.pcap", "trace.pcap1", "trace.pcap2"],
        [
            "web-2024-01-01_23:59.cap",
            "web-2024-01-02_00:09.cap",
            "web-2024-01-02_00:19.cap",
        ],
        ["ring9.gz", "ring10.gz", "ring0.gz"],
    ] {
        let part = |from: u32| gzip(&pcap(&[(from, b"a"), (from + 10, b"b")]));
        let folder = Folder::new(&[
            (names[2], part(120)),
            (names[0], part(100)),
            (names[1], part(110)),
        ]);
        let plan = plan(
            &folder.inputs(&[names[2], names[0], names[1]]),
            Grouping::Auto,
        )
        .unwrap();
        assert_eq!(folder.chains(&plan), [names]);
        let (seen, summaries) = read_chain(&plan.chains[0]);
        let numbers: Vec<u64> = seen.iter().map(|packet| packet.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
        assert!(seen.is_sorted_by_key(|packet| packet.nanos));
        assert!(
            summaries
                .iter()
                .all(|file| file.packets == 2 && !file.overlaps)
        );
    }
}

#[test]
fn files_that_overlap_or_differ_in_link_type_or_lie_far_apart_are_no_series() {
    let raw = |second| {
        [
            LITTLE.pcap(0xa1b2_c3d4, 4, 101),
            LITTLE.record(second, 0, 1, b"x"),
        ]
        .concat()
    };
    for (a, b) in [
        (pcap(&[(1, b"x"), (9, b"x")]), pcap(&[(8, b"x")])),
        (pcap(&[(1, b"x")]), raw(2)),
        (pcap(&[(1, b"x")]), pcapng(&[(2, b"x")])),
        (pcap(&[(1, b"x")]), pcap(&[(1_000_000, b"x")])),
        (pcap(&[(2, b"x")]), pcap(&[(1, b"x")])),
    ] {
        let folder = Folder::new(&[("tap1.pcap", a), ("tap2.pcap", b)]);
        let plan = plan(&folder.inputs(&["tap1.pcap", "tap2.pcap"]), Grouping::Auto).unwrap();
        assert_eq!(plan.chains.len(), 2);
    }
}

#[test]
fn two_series_whose_names_differ_in_a_number_are_told_apart() {
    let part = |from: u32| pcap(&[(from, b"a"), (from + 10, b"b")]);
    let folder = Folder::new(&[
        ("eth0_1.pcap", part(0)),
        ("eth0_2.pcap", part(10)),
        ("eth1_1.pcap", part(1)),
        ("eth1_2.pcap", part(11)),
    ]);
    let plan = plan(&[Input::Path(folder.0.path().to_owned())], Grouping::Auto).unwrap();
    assert_eq!(
        folder.chains(&plan),
        [
            ["eth0_1.pcap", "eth0_2.pcap"],
            ["eth1_1.pcap", "eth1_2.pcap"]
        ]
    );
}

/// Writes a capture of packets: second and bytes.
type Write = fn(&[(u32, &[u8])]) -> Vec<u8>;

#[test]
fn the_end_of_a_large_file_is_found_without_reading_it() {
    let body = vec![0xab_u8; 1200];
    let large = |from: u32, write: Write| {
        let packets: Vec<(u32, &[u8])> = (from..from + 2000)
            .map(|second| (second, body.as_slice()))
            .collect();
        write(&packets)
    };
    for write in [pcap, pcapng] {
        let overlapping = [("a1.cap", large(0, write)), ("a2.cap", large(1990, write))];
        let following = [("a1.cap", large(0, write)), ("a2.cap", large(1999, write))];
        // A cut end hides nothing.
        let mut cut = following.clone();
        let keep = cut[0].1.len() - 700;
        cut[0].1.truncate(keep);
        for (files, chains) in [(overlapping, 2), (following, 1), (cut, 1)] {
            let folder = Folder::new(&files);
            let plan = plan(&folder.inputs(&["a1.cap", "a2.cap"]), Grouping::Auto).unwrap();
            assert_eq!(plan.chains.len(), chains);
        }
    }
}

#[test]
fn grouping_can_be_forced_and_prevented() {
    let folder = Folder::new(&[
        ("x.pcap", pcap(&[(5, b"b")])),
        ("y.pcap", pcapng(&[(1, b"a")])),
    ]);
    let inputs = folder.inputs(&["x.pcap", "y.pcap"]);
    let chained = plan(&inputs, Grouping::Chain).unwrap();
    assert_eq!(folder.chains(&chained), [["y.pcap", "x.pcap"]]);
    assert_eq!(read_chain(&chained.chains[0]).0[0].bytes, b"a");

    let folder = Folder::new(&[
        ("t1.pcap", pcap(&[(1, b"a")])),
        ("t2.pcap", pcap(&[(2, b"b")])),
    ]);
    let inputs = folder.inputs(&["t1.pcap", "t2.pcap"]);
    assert_eq!(plan(&inputs, Grouping::Auto).unwrap().chains.len(), 1);
    assert_eq!(plan(&inputs, Grouping::Separate).unwrap().chains.len(), 2);

    let mut shared = inputs.clone();
    shared.push(Input::Stdin);
    assert!(matches!(
        plan(&shared, Grouping::Chain),
        Err(CaptureError::StandardInputShared)
    ));
    assert_eq!(plan(&shared, Grouping::Auto).unwrap().chains.len(), 2);
}

#[test]
fn a_cut_file_does_not_end_its_chain() {
    let mut first = pcap(&[(1, b"abc"), (2, b"def")]);
    first.truncate(first.len() - 1);
    let folder = Folder::new(&[("t1.pcap", first), ("t2.pcap", pcap(&[(3, b"ghi")]))]);
    let plan = plan(&folder.inputs(&["t1.pcap", "t2.pcap"]), Grouping::Chain).unwrap();
    fs::write(folder.path("t3.pcap"), b"").unwrap();
    let (seen, summaries) = read_chain(&plan.chains[0]);
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[1].number, seen[1].bytes.as_slice()), (2, &b"ghi"[..]));
    assert!(matches!(
        summaries[0].error,
        Some(CaptureError::Truncated { offset: 43, .. })
    ));
    assert!(summaries[1].error.is_none());
}

#[test]
fn a_file_that_vanishes_after_planning_is_an_error_of_that_file() {
    let folder = Folder::new(&[
        ("t1.pcap", pcap(&[(1, b"abc")])),
        ("t2.pcap", pcap(&[(3, b"ghi")])),
    ]);
    let plan = plan(&folder.inputs(&["t1.pcap", "t2.pcap"]), Grouping::Chain).unwrap();
    fs::remove_file(folder.path("t1.pcap")).unwrap();
    let (seen, summaries) = read_chain(&plan.chains[0]);
    assert_eq!(seen.len(), 1);
    assert!(matches!(
        summaries[0].error,
        Some(CaptureError::Missing { .. })
    ));
    fs::remove_file(folder.path("t2.pcap")).unwrap();
    assert!(matches!(
        Reader::open(&plan.chains[0], &Options::default()),
        Err(CaptureError::Missing { .. })
    ));
}

#[test]
fn progress_counts_the_bytes_on_disk() {
    let file = gzip(&noisy());
    let size = file.len() as u64;
    let folder = Folder::new(&[("a.pcap", file)]);
    let plan = plan(&folder.inputs(&["a.pcap"]), Grouping::Auto).unwrap();
    assert_eq!(plan.chains[0].total_bytes(), Some(size));
    let mut reader = Reader::open(&plan.chains[0], &Options::default()).unwrap();
    let mut block = exwire::capture::Block::new();
    while reader.fill(&mut block).unwrap() {}
    assert_eq!(reader.bytes_read(), size);
    fn is_send<T: Send>(_: &T) {}
    is_send(&reader);
    is_send(&block);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_as_a_stream() {
    let folder = Folder::new(&[]);
    let pipe = folder.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: no mkfifo");
        return;
    }
    let plan = plan(&[Input::Path(pipe.clone())], Grouping::Auto).unwrap();
    let writer = std::thread::spawn(move || fs::write(pipe, gzip(&pcap(&[(1, b"abc")]))));
    let (seen, _) = read_chain(&plan.chains[0]);
    writer.join().unwrap().unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(plan.chains[0].total_bytes(), None);
}

fn filtered(file: &Path, expression: &str) -> Result<(Vec<Seen>, Vec<FileSummary>), CaptureError> {
    let plan = plan(&[Input::Path(file.to_owned())], Grouping::Auto).unwrap();
    let options = Options {
        filter: Some(expression.to_owned()),
    };
    Ok(drain(Reader::open(&plan.chains[0], &options)?))
}

#[cfg(feature = "libpcap")]
#[test]
fn a_filter_keeps_packet_numbers_and_knows_the_link_type() {
    // An IPv4 header with protocol 6 or 17.
    let ip = |protocol: u8| {
        let mut bytes = vec![0x45, 0, 0, 20, 0, 0, 0, 0, 64, protocol];
        bytes.resize(20, 0);
        bytes
    };
    let ethernet = |protocol: u8| [vec![0; 12], vec![8, 0], ip(protocol)].concat();
    let mut file = LITTLE.section(0);
    file.extend(LITTLE.interface(1, 0, &[]));
    file.extend(LITTLE.interface(101, 0, &[]));
    for (interface, bytes) in [(0, ethernet(17)), (1, ip(6)), (0, ethernet(6)), (1, ip(17))] {
        file.extend(LITTLE.packet(interface, 0, bytes.len() as u32, &bytes, &[]));
    }
    let folder = Folder::new(&[("mixed.pcapng", file)]);
    let (seen, summaries) = filtered(&folder.path("mixed.pcapng"), "tcp").unwrap();
    let numbers: Vec<u64> = seen.iter().map(|packet| packet.number).collect();
    assert_eq!(numbers, [2, 3]);
    assert_eq!((summaries[0].packets, summaries[0].filtered), (4, 2));
}

#[cfg(feature = "libpcap")]
#[test]
fn a_bad_filter_is_an_error_before_the_first_packet() {
    let folder = Folder::new(&[("a.pcap", pcap(&[(1, b"abc")]))]);
    match filtered(&folder.path("a.pcap"), "tcp porrt 25").unwrap_err() {
        CaptureError::Filter {
            message, link: 1, ..
        } => assert!(message.contains("syntax error"), "{message}"),
        other => panic!("{other}"),
    }
}

#[cfg(not(feature = "libpcap"))]
#[test]
fn a_filter_without_libpcap_is_refused() {
    let folder = Folder::new(&[("a.pcap", pcap(&[(1, b"abc")]))]);
    let error = filtered(&folder.path("a.pcap"), "tcp").unwrap_err();
    assert!(matches!(error, CaptureError::FilterUnavailable { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn damaged_compressed_bytes_never_panic(
        encoder in 0..ENCODERS.len(),
        flips in proptest::collection::vec((any::<u32>(), 1_u8..), 1..8),
        cut in any::<u32>(),
    ) {
        let plain = pcap(&[(1, b"abcdefgh"), (2, &[7; 400]), (3, b"xyz")]);
        let mut file = ENCODERS[encoder].1(&plain);
        for (place, flip) in flips {
            let place = place as usize % file.len();
            file[place] ^= flip;
        }
        if cut % 3 == 0 {
            file.truncate(cut as usize % file.len());
        }
        let _ = read_bytes(&file);
    }
}
