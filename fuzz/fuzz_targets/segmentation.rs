//! A conversation of the samples, cut into any segments: what is proven, noted and offered stays the same.
#![no_main]

use std::io::Cursor;
use std::sync::LazyLock;

use exwire::net::Transport;
use exwire_fuzz::{Order, connection, said, script, scripts};
use libfuzzer_sys::fuzz_target;

static SCRIPTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let captures: [&[u8]; 3] = [
        include_bytes!("../../samples/exchange2010-site.pcap"),
        include_bytes!("../../samples/perimeter-unhealthy.pcap"),
        include_bytes!("../../samples/um-lync-calls.pcap"),
    ];
    let flows = captures
        .into_iter()
        .flat_map(|capture| scripts(Cursor::new(capture)));
    flows
        .filter(|(key, _)| key.transport == Transport::TCP)
        .map(|(_, script)| script)
        .collect()
});

fuzz_target!(|bytes: &[u8]| {
    let Some((&number, sizes)) = bytes.split_first() else {
        return;
    };
    let script = script(&SCRIPTS[usize::from(number) % SCRIPTS.len()]);
    let (whole, _) = connection(&script, &[], Order::Sent);
    for order in [Order::Sent, Order::EachPairSwapped] {
        let (cut, _) = connection(&script, sizes, order);
        assert_eq!(said(&cut), said(&whole), "conversation {number}");
    }
});
