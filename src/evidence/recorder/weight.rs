//! How much memory takes what was said of a flow: about, and without asking the allocator.

use crate::evidence::{Fact, MediaOffer, Offer, Offered, Seen};

/// What the allocator adds to a piece of memory, and rounds it up by, about.
const AROUND_PIECE: usize = 16;

/// Bytes that a fact takes.
pub(super) fn fact_bytes(fact: &Fact) -> usize {
    let text = fact.value.as_text().map(around);
    size_of::<(Fact, Seen)>().saturating_add(text.unwrap_or(0))
}

/// Bytes that an offer takes.
pub(super) fn offer_bytes(offer: &Offer) -> usize {
    let apart = match &offer.offered {
        Offered::Rpc { annotation, .. } => annotation.as_deref().map_or(0, around),
        Offered::Dcom { host, .. } => around(host),
        Offered::Media(media) => {
            let codecs = media.codecs.iter();
            let codecs = codecs.map(|codec| size_of::<Box<str>>().saturating_add(around(codec)));
            let texts = [
                &media.media,
                &media.profile,
                &media.direction,
                &media.call_id,
            ];
            let texts = texts.into_iter().map(|text| around(text));
            size_of::<MediaOffer>()
                .saturating_add(codecs.sum())
                .saturating_add(texts.sum())
        }
        Offered::Candidate { kind, call_id } => around(kind).saturating_add(around(call_id)),
        Offered::Host { name } | Offered::Protocol { name, .. } => around(name),
        Offered::Relay | Offered::Data { .. } => 0,
    };
    size_of::<(Offer, Seen)>().saturating_add(apart)
}

fn around(text: &str) -> usize {
    text.len().saturating_add(AROUND_PIECE)
}
