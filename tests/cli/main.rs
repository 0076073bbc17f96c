//! The program as a user meets it: exit status, messages, shapes of the output.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "a test may panic"
)]

mod calls;
mod contract;
mod input;
mod output;

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use cli_support::{Run, folder_with, names, sample};
use serde_json::Value;

const SCANNING: [&str; 4] = ["classify", "audit", "endpoints", "calls"];

fn fields(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn assert_fields(value: &Value, contract: &[&str], additions: &[&str]) {
    let expected: BTreeSet<&str> = contract.iter().chain(additions).copied().collect();
    assert_eq!(fields(value), expected);
}
