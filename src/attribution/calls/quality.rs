//! What listeners would say of a stream: the E-model of ITU-T G.107, simplified.
//!
//! R = 93.2 − Id − Ie,eff, with all parameters at their default values but these:
//! * Ie,eff = Ie + (95 − Ie) · Ppl / (Ppl + Bpl) for losses at random (BurstR = 1), with Ie and Bpl of ITU-T G.113 appendix I;
//! * Id = 0.024 · d + 0.11 · (d − 177.3) beyond 177.3 ms, the usual approximation of the delay impairment without echo, where
//!   d = half of the measured round trip (0 where none was measured) + a playout buffer of twice the mean jitter + 25 ms
//!   for packetising and coding.
//!
//! Assumptions, all in favour of the stream: the receiver conceals losses, its buffer loses nothing more, and what was not
//! captured was fine. The figure is therefore an upper bound, for comparison and not for contracts. Only narrowband codecs
//! with published parameters have one.

/// Basic signal to noise ratio less the simultaneous impairments, at default values (G.107 section 7.7).
const BEST: f64 = 93.2;
/// Delay above which conversations suffer, in milliseconds.
const DELAY_KNEE_MS: f64 = 177.3;
/// Packetising and coding, in milliseconds: a packet of 20 ms and 5 ms of look-ahead.
const CODING_MS: f64 = 25.0;

/// Impairment and robustness of a codec (ITU-T G.113 appendix I).
struct Codec {
    /// Equipment impairment factor.
    ie: f64,
    /// Packet loss robustness factor.
    bpl: f64,
}

impl Codec {
    fn of(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        Some(if is("PCMU") || is("PCMA") {
            // With concealment (G.711 appendix I).
            Self { ie: 0.0, bpl: 25.1 }
        } else if is("G729") {
            Self {
                ie: 11.0,
                bpl: 19.0,
            }
        } else if is("G723") {
            // At 6.3 kbit/s.
            Self {
                ie: 15.0,
                bpl: 16.1,
            }
        } else {
            return None;
        })
    }
}

/// What was measured of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// Part of the packets that was lost, 0 to 1.
    pub(super) lost: f64,
    /// Mean jitter in milliseconds.
    pub(super) jitter_ms: f64,
    /// Mean round trip in milliseconds, 0 where unknown.
    pub(super) round_trip_ms: f64,
}

/// Mean opinion score, 1 to 4.5; `None` where the codec has no published parameters.
pub(super) fn mos(codec: &str, measured: Measured) -> Option<f64> {
    let Codec { ie, bpl } = Codec::of(codec)?;
    let lost_percent = measured.lost.clamp(0.0, 1.0) * 100.0;
    let equipment = ie + (95.0 - ie) * lost_percent / (lost_percent + bpl);
    let delay_ms = measured.round_trip_ms / 2.0 + 2.0 * measured.jitter_ms + CODING_MS;
    let delay = 0.024 * delay_ms + 0.11 * (delay_ms - DELAY_KNEE_MS).max(0.0);
    Some(opinion(BEST - delay - equipment))
}

/// G.107 annex B.
fn opinion(r: f64) -> f64 {
    if r <= 0.0 {
        1.0
    } else if r >= 100.0 {
        4.5
    } else {
        (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(codec: &str, lost: f64, jitter_ms: f64, round_trip_ms: f64) -> f64 {
        let measured = Measured {
            lost,
            jitter_ms,
            round_trip_ms,
        };
        mos(codec, measured).unwrap()
    }

    #[test]
    fn a_perfect_call_scores_like_the_tables_say() {
        assert!((score("PCMA", 0.0, 0.0, 0.0) - 4.4).abs() < 0.02);
        assert!((score("g729", 0.0, 0.0, 0.0) - 4.1).abs() < 0.05);
    }

    #[test]
    fn loss_jitter_and_delay_each_make_it_worse() {
        let good = score("PCMU", 0.0, 0.0, 0.0);
        assert!(score("PCMU", 0.02, 0.0, 0.0) < good - 0.1);
        assert!(score("PCMU", 0.0, 60.0, 0.0) < good - 0.05);
        assert!(score("PCMU", 0.0, 0.0, 600.0) < good - 0.5);
        assert!((score("PCMU", 1.0, 5000.0, 60_000.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_codec_without_published_parameters_has_no_score() {
        let measured = Measured {
            lost: 0.0,
            jitter_ms: 0.0,
            round_trip_ms: 0.0,
        };
        assert_eq!(mos("opus", measured), None);
        assert_eq!(mos("G722", measured), None);
    }
}
