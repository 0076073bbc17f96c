//! Manifests of captures against the records of the program: what those of the samples and those of the lab share.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// A field of a flow, as expected and as seen.
pub(crate) type Compared = (&'static str, Value, Value);

/// The entries of a list; none where there is no such list.
pub(crate) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// `address:port` of one end of a flow, of an endpoint or of a stream.
pub(crate) fn end(record: &Value) -> String {
    let address: std::net::IpAddr = record["address"].as_str().unwrap().parse().unwrap();
    match record["port"].as_u64() {
        Some(port) => std::net::SocketAddr::new(address, port.try_into().unwrap()).to_string(),
        None => address.to_string(),
    }
}

/// The fields that have the same form in manifest and record, and those of tunnel and encryption.
pub(crate) fn common_fields(
    same: &[&'static str],
    expected: &Value,
    seen: &Value,
    tunnel: &Value,
) -> Vec<Compared> {
    let or_empty = |list: &Value| match list {
        Value::Null => json!([]),
        list => list.clone(),
    };
    let is_true = |told: &Value| json!(told == &json!(true));
    let encryption = &seen["encryption"];
    same.iter()
        .map(|field| (*field, expected[*field].clone(), seen[*field].clone()))
        .chain([
            ("tunnel", or_empty(tunnel), or_empty(&seen["tunnel"])),
            (
                "encryption",
                expected["encryption"].clone(),
                encryption["kind"].clone(),
            ),
            (
                "mutual",
                is_true(&expected["mutual"]),
                is_true(&encryption["mutual"]),
            ),
        ])
        .collect()
}

/// What is expected and was not seen, and what was seen and is not expected; `what` they are.
pub(crate) fn set_differences(
    what: &str,
    expected: impl Iterator<Item = String>,
    seen: impl Iterator<Item = String>,
) -> Vec<String> {
    let [expected, seen]: [BTreeSet<String>; 2] = [expected.collect(), seen.collect()];
    let missing = expected.difference(&seen);
    let more = seen.difference(&expected);
    missing
        .map(|line| format!("{what} {line}: not reported"))
        .chain(more.map(|line| format!("{what} {line}: not in the manifest")))
        .collect()
}
