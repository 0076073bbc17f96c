//! Writes the first corpora: `seeds CORPUS CAPTURE...` cuts captures into inputs of each target.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::{env, fs};

use exwire::net::Transport;
use exwire_fuzz::{each_packet, scripts};

fn main() {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let corpus = arguments.next().expect("usage: seeds CORPUS CAPTURE...");
    let mut seeds = Seeds { corpus, written: 0 };
    for capture in arguments {
        let bytes = fs::read(&capture).expect("a readable capture");
        seeds.write("capture", &bytes);
        seeds.write("ledger", &bytes);
        each_packet(Cursor::new(bytes.clone()), |packet, _| {
            let link = packet.link.0.to_le_bytes();
            seeds.write("dissect", &[&link, &[0; 2], packet.bytes].concat());
        });
        for (key, script) in scripts(Cursor::new(bytes)) {
            match key.transport {
                Transport::TCP => seeds.write("conversation", &[&[u8::MAX], &script[..]].concat()),
                Transport::UDP => seeds.write("datagram", &script),
                _ => {}
            }
        }
    }
}

struct Seeds {
    corpus: PathBuf,
    written: usize,
}

impl Seeds {
    fn write(&mut self, target: &str, seed: &[u8]) {
        let folder: &Path = &self.corpus.join(target);
        fs::create_dir_all(folder).expect("a writable corpus");
        let path = folder.join(format!("seed-{}", self.written));
        fs::write(path, seed).expect("a writable corpus");
        self.written += 1;
    }
}
