//! What is known of the samples, written twice: for tests as TOML, for readers as the README of `samples/`.

use std::fmt::Write as _;

use super::Sample;
use super::trace::{Call, Flow};

/// Before the list of samples.
const INTRODUCTION: &str = "# Samples

Small captures that show what exwire is for. All of them are synthetic.

| | |
| --- | --- |
| Origin | written by `cargo run --example generate-samples -- samples`; nothing was recorded or copied |
| Licence | that of the project: MIT OR Apache-2.0 |
| Reproducible | byte for byte: fixed times, keys and serial numbers; encrypted bytes come from SplitMix64 with fixed seeds; certificates are signed with Ed25519, which is deterministic. A test compares |
| Addresses | private and documentation ranges only: 10.0.0.0/8 inside, 192.0.2.0/24 perimeter, 198.51.100.0/24 and 203.0.113.0/24 Internet, 2001:db8::/32; names below example.com and example.net |
| Passwords, keys | invented, and part of what the samples show |

Beside each capture:

- `NAME.topology.toml` (`rotated` and `mirror-erspan-vlan` use that of `exchange2010-site`): the hosts and networks, as `--topology` takes them; `topology.toml` explains the format.
- `expected/NAME.toml`: what the capture holds. The generator writes it from what it builds, not from what a program
  reads. `findings` are the codes that name the flow, of any severity. `verdict` and `service` assume that
  topology. `packets` and `bytes` are those of IP, client to server and back; a datagram in fragments counts once.

ICMP errors are told with the flow whose packet they quote; they are no flows of their own in these lists.
";

pub(crate) fn readme(samples: &[Sample]) -> String {
    let mut out = INTRODUCTION.to_owned();
    for sample in samples {
        let _ = write!(out, "\n## {}\n\n{}\n\n", sample.name, sample.shows);
        for (path, bytes) in &sample.captures {
            let _ = writeln!(out, "- [`{path}`]({path}): {} bytes", bytes.len());
        }
        let _ = writeln!(out, "- {} packets\n", sample.finished.frames.len());
        out.push_str("| flow | service | verdict | findings | what it shows |\n| --- | --- | --- | --- | --- |\n");
        for flow in &sample.finished.flows {
            let _ = writeln!(
                out,
                "| {} {} to {} | {} | {} | {} | {} |",
                flow.transport,
                flow.client,
                flow.server,
                flow.service.unwrap_or("none"),
                flow.verdict,
                flow.findings.join(", "),
                what(flow)
            );
        }
    }
    out
}

/// The note, and the wrapping where there is one.
fn what(flow: &Flow) -> String {
    if flow.tunnel.is_empty() {
        flow.note.to_owned()
    } else {
        format!("{} [{}]", flow.note, flow.tunnel.join(", "))
    }
}

pub(crate) fn expected(sample: &Sample) -> String {
    let captures: Vec<&str> = sample.captures.iter().map(|(path, _)| *path).collect();
    let topology = match sample.name {
        "rotated" | "mirror-erspan-vlan" => "exchange2010-site",
        name => name,
    };
    let mut out = format!(
        "# Written by the generator of the samples: what it built. Not to be edited.\n\
         captures = {}\ntopology = \"{topology}.topology.toml\"\npackets = {}\n",
        list(&captures),
        sample.finished.frames.len()
    );
    for flow in &sample.finished.flows {
        push_flow(&mut out, flow);
    }
    for announced in &sample.finished.announced {
        let subject = if announced.kind == "rpc" {
            "interface"
        } else {
            "call_id"
        };
        let _ = write!(
            out,
            "\n[[endpoint]]\nkind = \"{}\"\nendpoint = \"{}\"\n{subject} = \"{}\"\nname = \"{}\"\nservice = \"{}\"\n",
            announced.kind, announced.endpoint, announced.what, announced.name, announced.service
        );
    }
    for call in &sample.finished.calls {
        push_call(&mut out, call);
    }
    out
}

fn push_flow(out: &mut String, flow: &Flow) {
    let _ = write!(
        out,
        "\n[[flow]]\ntransport = \"{}\"\nclient = \"{}\"\nserver = \"{}\"\n",
        flow.transport, flow.client, flow.server
    );
    if let Some(service) = flow.service {
        let _ = writeln!(out, "service = \"{service}\"");
    }
    let _ = write!(
        out,
        "protocols = {}\nencryption = \"{}\"\n",
        list(flow.protocols),
        flow.encryption
    );
    if flow.mutual {
        out.push_str("mutual = true\n");
    }
    if !flow.tunnel.is_empty() {
        let _ = writeln!(out, "tunnel = {}", list(flow.tunnel));
    }
    let _ = write!(
        out,
        "state = \"{}\"\nverdict = \"{}\"\nfindings = {}\npackets = {:?}\nbytes = {:?}\nnote = \"{}\"\n",
        flow.state,
        flow.verdict,
        list(flow.findings),
        flow.packets,
        flow.bytes,
        flow.note.replace('"', "\\\"")
    );
}

fn push_call(out: &mut String, call: &Call) {
    out.push_str("\n[[call]]\n");
    if let Some(id) = call.id {
        let _ = writeln!(out, "call_id = \"{id}\"");
    }
    if let Some(result) = call.result {
        let _ = writeln!(out, "result = {result}");
    }
    for stream in &call.streams {
        let _ = write!(
            out,
            "\n[[call.stream]]\nssrc = \"{:#010x}\"\nfrom = \"{}\"\nto = \"{}\"\npayload_type = {}\npackets = {}\n\
             lost = {}\n",
            stream.ssrc, stream.from, stream.to, stream.payload_type, stream.packets, stream.lost
        );
    }
}

fn list(items: &[&str]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| format!("\"{item}\"")).collect();
    format!("[{}]", quoted.join(", "))
}
