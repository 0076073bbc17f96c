//! Searching the matrix, as `exwire matrix` does.

use super::Matrix;
use super::row::{Ports, Product, Role, Row, ServiceId};

/// What rows are wanted; an empty query wants all.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Rows with a fixed port or range that holds it.
    pub port: Option<u16>,
    /// Rows with this role at either end.
    pub role: Option<Role>,
    /// Rows for this product.
    pub product: Option<Product>,
    /// The row of this id, or the rows whose ids begin with it.
    pub row: Option<String>,
    /// Rows of this service.
    pub service: Option<ServiceId>,
    /// Rows whose title, rule or quote contains this text, in letters of either case.
    pub text: Option<String>,
}

impl Query {
    fn wants(&self, row: &Row) -> bool {
        let port = |port: u16| row.ports.iter().any(|entry| entry.ports.holds(port));
        let role = |role: Role| row.from_roles.contains(&role) || row.to_roles.contains(&role);
        let text = |wanted: &String| {
            let wanted = wanted.to_lowercase();
            [
                Some(&row.title),
                row.rule.as_ref(),
                row.quote.as_ref(),
                row.condition.as_ref(),
                row.program.as_ref(),
            ]
            .into_iter()
            .flatten()
            .any(|text| text.to_lowercase().contains(&wanted))
        };
        self.port.is_none_or(port)
            && self.role.is_none_or(role)
            && self
                .product
                .is_none_or(|product| row.products.iter().any(|known| product.is(*known)))
            && self
                .row
                .as_ref()
                .is_none_or(|id| row.id.0.starts_with(id.as_str()))
            && self
                .service
                .as_ref()
                .is_none_or(|service| row.documents(service))
            && self.text.as_ref().is_none_or(text)
    }
}

impl Matrix {
    /// Rows that the query wants: those that name the port itself before those that hold it in a range, then in order.
    pub fn search(&self, query: &Query) -> Vec<&Row> {
        let mut found: Vec<&Row> = self.rows().iter().filter(|row| query.wants(row)).collect();
        if let Some(port) = query.port {
            found.sort_by_key(|row| {
                !row.ports
                    .iter()
                    .any(|entry| entry.ports == Ports::Single(port))
            });
        }
        found
    }
}
