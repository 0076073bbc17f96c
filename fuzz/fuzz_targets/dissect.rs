//! A link type and any bytes: what is found lies within the packet, and each packet is counted once.
#![no_main]

use exwire::net::{LinkType, Timestamp};
use exwire::wire::{Dissector, Limits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, u16, &[u8])| {
    let (link, cut, bytes) = input;
    let mut dissector = Dissector::new(Limits {
        verify_checksums: true,
        ..Limits::default()
    });
    let wire_len = bytes.len() as u32 + u32::from(cut);
    let layers = dissector.dissect(Timestamp::default(), LinkType(link), bytes, wire_len);
    // One packet cannot complete a datagram unless it is whole in it, so its payload is never copied.
    assert!(layers.payload.is_empty() || bytes.as_ptr_range().contains(&layers.payload.as_ptr()));
    assert!(layers.payload.len() <= bytes.len());
    assert!(layers.payload.len() <= layers.payload_wire_len as usize);
    let counters = dissector.counters();
    let stops = [
        &counters.truncated,
        &counters.malformed,
        &counters.unsupported,
    ];
    let sum = stops.iter().map(|count| count.total()).sum::<u64>()
        + counters.complete
        + counters.waiting_fragments
        + counters.nesting_limit;
    assert_eq!((counters.packets, sum), (1, 1));
});
