//! The samples are what their generator writes, byte for byte, and another dissector can read them.

#[path = "../examples/generate-samples/generator/mod.rs"]
mod generator;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")
}

fn is_capture(path: &str) -> bool {
    path.ends_with(".pcap") || path.ends_with(".pcapng")
}

#[test]
fn the_generator_writes_the_samples_byte_for_byte() {
    for file in generator::generate() {
        let stored = fs::read(samples().join(&file.path))
            .unwrap_or_else(|error| panic!("samples/{}: {error}; run the generator", file.path));
        assert!(
            stored == file.bytes,
            "samples/{} is not what the generator writes; run it again",
            file.path
        );
    }
}

#[test]
fn a_second_run_gives_the_same_bytes() {
    let [one, other] = [generator::generate(), generator::generate()];
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(&other) {
        assert!(
            one.path == other.path && one.bytes == other.bytes,
            "{} differs",
            one.path
        );
    }
}

#[test]
fn the_captures_together_stay_small() {
    let files = generator::generate();
    let total: usize = files
        .iter()
        .filter(|file| is_capture(&file.path))
        .map(|file| file.bytes.len())
        .sum();
    assert!(total < 200 * 1024, "{total} bytes");
}

#[test]
fn every_manifest_and_topology_is_toml_and_names_files_that_exist() {
    for file in generator::generate()
        .iter()
        .filter(|file| file.path.ends_with(".toml"))
    {
        let text = std::str::from_utf8(&file.bytes).unwrap();
        let manifest: toml::Table = text
            .parse()
            .unwrap_or_else(|error| panic!("{}: {error}", file.path));
        let topology = manifest["topology"].as_str().unwrap();
        let captures = manifest["captures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap());
        for name in captures.chain([topology]) {
            assert!(
                samples().join(name).is_file(),
                "{}: no samples/{name}",
                file.path
            );
        }
    }
    for entry in fs::read_dir(samples()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let text = fs::read_to_string(&path).unwrap();
            text.parse::<toml::Table>()
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

/// Checksums are checked too: an offloaded one would be a mistake of the generator.
#[test]
fn tshark_reads_every_sample_without_a_malformed_packet() {
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: tshark is not installed");
        return;
    }
    let wrong = "_ws.malformed || _ws.short || ip.checksum.status == 0 || tcp.checksum.status == 0 \
                 || udp.checksum.status == 0 || icmp.checksum.status == 0";
    for file in generator::generate()
        .iter()
        .filter(|file| is_capture(&file.path))
    {
        let output = Command::new("tshark")
            .arg("-r")
            .arg(samples().join(&file.path))
            .args([
                "-o",
                "ip.check_checksum:TRUE",
                "-o",
                "tcp.check_checksum:TRUE",
            ])
            .args(["-o", "udp.check_checksum:TRUE", "-Y", wrong])
            .args(["-T", "fields", "-e", "frame.number"])
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}: {}",
            file.path,
            String::from_utf8_lossy(&output.stderr)
        );
        let frames = String::from_utf8_lossy(&output.stdout);
        assert!(frames.trim().is_empty(), "{}: frames {frames}", file.path);
    }
}
