//! A script as datagrams of one flow: what is noted is registered, and bounded, and the same each time.
#![no_main]

use exwire_fuzz::{check, datagrams, said, script};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let script = script(bytes);
    let recorder = datagrams(&script);
    check(&recorder, script.len());
    assert_eq!(said(&recorder), said(&datagrams(&script)));
});
