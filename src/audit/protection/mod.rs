//! EXW2xx: whether a flow is encrypted and authenticated as documented.

mod ad_lds;
mod authentication;
mod clear_text;
mod deprecated;
mod mutual_tls;

pub(super) use ad_lds::{AD_LDS, is_clear_ad_lds};
pub(super) use authentication::AUTHENTICATION;
pub(super) use clear_text::CLEAR_TEXT;
pub(super) use deprecated::DEPRECATED;
pub(super) use mutual_tls::MUTUAL_TLS;

use super::scene::Subject;

/// The endpoint mapper itself is asked in clear by design.
fn is_mapper(subject: Subject<'_>) -> bool {
    subject
        .attribution
        .service
        .as_ref()
        .is_some_and(|service| service.as_str() == "endpoint_mapper")
}
