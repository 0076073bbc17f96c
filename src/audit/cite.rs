//! What the documents say to a finding.

use super::Citation;
use crate::signature::{Kind, Role, Row, RowId, Signatures};

/// The row's own words, and those of the first rule that asks for the check.
pub(super) fn citations(signatures: &Signatures, row: Option<&RowId>, code: &str) -> Vec<Citation> {
    let cite = |row: &Row| Citation {
        document: row.document.to_string(),
        table: row.table.to_string(),
        quote: row.quote.as_ref().unwrap_or(&row.title).to_string(),
    };
    let row = row.and_then(|id| signatures.matrix.row(id));
    // A rule speaks of the row where it shares a service with it and names no other hosts.
    let meets = |one: &[Role], other: &[Role]| one.iter().any(|role| other.contains(role));
    let ends = |rule: &Row, row: &Row| {
        let straight = [
            (&rule.from_roles, &row.from_roles),
            (&rule.to_roles, &row.to_roles),
        ];
        let met = straight
            .iter()
            .filter(|(rule, row)| meets(rule, row))
            .count();
        let other = straight
            .iter()
            .any(|(rule, row)| !rule.is_empty() && !meets(rule, row));
        (!other).then_some(met)
    };
    let fit = |rule: &Row| match row {
        None => Some(0),
        Some(row) if rule.document != row.document => None,
        Some(row) if !row.services.iter().any(|service| rule.documents(service)) => None,
        Some(row) => ends(rule, row),
    };
    let rule = signatures
        .matrix
        .rows()
        .iter()
        .filter(|rule| rule.kind == Kind::Rule && rule.check.as_deref() == Some(code))
        .filter_map(|rule| Some((fit(rule)?, rule)))
        .min_by_key(|(met, _)| std::cmp::Reverse(*met))
        .map(|(_, rule)| rule);
    let is_same = |rule: &&Row| row.is_none_or(|row| row.id != rule.id);
    row.into_iter()
        .chain(rule.filter(is_same))
        .map(cite)
        .collect()
}
