//! A script as a TCP connection, in small segments and out of order: the decoders get every byte once and in order.
#![no_main]

use exwire::net::Side;
use exwire_fuzz::{Order, check, connection, script};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&size, bytes)) = bytes.split_first() else {
        return;
    };
    let script = script(bytes);
    for (sizes, order) in [
        (&[] as &[u8], Order::Sent),
        (&[size][..], Order::EachPairSwapped),
    ] {
        let (recorder, given) = connection(&script, sizes, order);
        check(&recorder, script.len());
        for side in Side::BOTH {
            let said = script.iter().filter(|(sender, _)| *sender == side);
            let sent: Vec<u8> = said.flat_map(|(_, bytes)| *bytes).copied().collect();
            assert!(given[side] == sent, "side {side:?}");
        }
    }
});
