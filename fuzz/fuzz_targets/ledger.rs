//! Any bytes as a capture, scanned: threads change nothing, and a ledger merged with itself stays what it is.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use exwire::capture::{Grouping, Input, plan};
use exwire::evidence::{Ledger, Merge};
use exwire::scan::{Options, scan};
use libfuzzer_sys::fuzz_target;

/// One file a process, written anew for each input.
static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("exwire-fuzz-{}", std::process::id())));

fuzz_target!(|bytes: &[u8]| {
    std::fs::write(&*FILE, bytes).expect("a writable folder for temporary files");
    let Ok(plan) = plan(&[Input::Path(FILE.clone())], Grouping::Separate) else {
        return;
    };
    let scanned = |threads| {
        let options = Options {
            threads,
            filter: None,
            memory_limit: None,
        };
        scan(&plan.chains, &options, &())
            .expect("no filter, no error")
            .ledger
    };
    let once = scanned(1);
    assert_eq!(once, scanned(2));
    for mut merged in [once.clone(), Ledger::default()] {
        merged.merge(once.clone());
        assert_eq!(merged, once);
    }
});
