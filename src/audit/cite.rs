//! What the documents say to a finding.

use std::cmp::Reverse;

use super::Citation;
use crate::signature::{Kind, Role, Row, RowId, ServiceId, Signatures};

/// The row's own words, and those of the rule that asks for the check and speaks of the row. Without a row: of the rule that
/// speaks of the service; of one that speaks of no service in particular; else where the documents have the service.
pub(super) fn citations(
    signatures: &Signatures,
    row: Option<&RowId>,
    service: Option<&ServiceId>,
    code: &str,
) -> Vec<Citation> {
    let row = row.and_then(|id| signatures.matrix.row(id));
    let rows = || signatures.matrix.rows().iter();
    let rules =
        || rows().filter(|rule| rule.kind == Kind::Rule && rule.check.as_deref() == Some(code));
    let rule = match row {
        Some(row) => rules()
            .filter_map(|rule| Some((ends_met(rule, row)?, rule)))
            .min_by_key(|(met, _)| Reverse(*met))
            .map(|(_, rule)| rule),
        None => rules()
            .filter(|rule| {
                rule.services.is_empty() || service.is_some_and(|service| rule.documents(service))
            })
            // A rule without hosts speaks of all of them.
            .min_by_key(|rule| {
                let is_of_all = rule.from_roles.is_empty() && rule.to_roles.is_empty();
                (rule.services.is_empty(), !is_of_all)
            }),
    };
    // Only where the code rests on rules at all: the others are not about the place of a service.
    let place = || {
        let service = service.filter(|_| row.is_none() && rules().next().is_some())?;
        rows().find(|row| row.kind == Kind::DataPath && row.documents(service))
    };
    let is_same = |rule: &&Row| row.is_none_or(|row| row.id != rule.id);
    row.into_iter()
        .chain(rule.or_else(place).filter(is_same))
        .map(cite)
        .collect()
}

fn cite(row: &Row) -> Citation {
    Citation {
        document: row.document.to_string(),
        table: row.table.to_string(),
        quote: row.quote.as_ref().unwrap_or(&row.title).to_string(),
    }
}

/// At how many ends a rule speaks of the hosts of a row; none where it speaks of another document, service or host.
fn ends_met(rule: &Row, row: &Row) -> Option<usize> {
    if rule.document != row.document || !row.services.iter().any(|service| rule.documents(service))
    {
        return None;
    }
    let meets = |one: &[Role], other: &[Role]| one.iter().any(|role| other.contains(role));
    let ends = [
        (&rule.from_roles, &row.from_roles),
        (&rule.to_roles, &row.to_roles),
    ];
    let met = ends.iter().filter(|(rule, row)| meets(rule, row)).count();
    let is_other = ends
        .iter()
        .any(|(rule, row)| !rule.is_empty() && !meets(rule, row));
    (!is_other).then_some(met)
}
