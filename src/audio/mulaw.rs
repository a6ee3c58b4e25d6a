//! µ-law as ITU-T G.711 defines it, with linear values scaled to 16 bits as ITU-T G.191 does.
//!
//! Both directions are one look-up in a table that the compiler computes from the rule below. This room does not know
//! rates, frames or filters.

/// The code of silence: positive zero.
pub const SILENCE: u8 = 0xFF;

/// G.711 adds this to a magnitude, so that every segment starts at a power of two.
const BIAS: i16 = 33;

/// The largest biased magnitude (13 bits); louder samples take its code.
const CLIP: i16 = 0x1FFF;

static DECODE: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = expand(code as u8) * 4;
        code += 1;
    }
    table
};

/// Indexed by the upper 14 bits of a sample: the lower two make no difference to its code.
static ENCODE: [u8; 1 << 14] = {
    let mut table = [0; 1 << 14];
    let mut upper = 0;
    while upper < 1 << 14 {
        let sample = (upper << 2) as u16;
        table[upper] = compress(sample.cast_signed() >> 2);
        upper += 1;
    }
    table
};

/// The linear value of a µ-law code: a multiple of 4 within ±32124.
#[inline]
pub fn decode(code: u8) -> i16 {
    DECODE[usize::from(code)]
}

/// The µ-law code of a linear sample. Magnitudes above 32635 take the outermost code.
#[inline]
pub fn encode(sample: i16) -> u8 {
    ENCODE[usize::from(sample.cast_unsigned() >> 2)]
}

/// The 14-bit value of a code (G.711, table 2): four bits of mantissa in one of eight segments, sent inverted.
const fn expand(code: u8) -> i16 {
    let bits = !code;
    let segment = (bits >> 4) & 7;
    let mantissa = (bits & 15) as i16;
    let magnitude = ((2 * mantissa + BIAS) << segment) - BIAS;
    if bits & 0x80 == 0 { magnitude } else { -magnitude }
}

/// The code of a 14-bit value. A negative one is taken by its ones' complement, as G.191 does, so -1 counts as zero.
const fn compress(value: i16) -> u8 {
    let (sign, magnitude) = if value < 0 { (0x80, !value) } else { (0, value) };
    let biased = if magnitude > CLIP - BIAS { CLIP } else { magnitude + BIAS };
    let segment = biased.ilog2() - 5;
    let mantissa = (biased >> (segment + 1)) & 15;
    !(sign | (segment << 4) as u8 | mantissa as u8)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde::Deserialize;
    use sha2::{Digest, Sha256};

    use super::*;

    fn fixture(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio").join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    #[test]
    fn every_code_decodes_to_the_value_of_the_itu() {
        let expected: Vec<i16> = serde_json::from_str(&fixture("mulaw_decode.json")).unwrap();
        let ours: Vec<i16> = (0..=255).map(decode).collect();
        assert_eq!(ours, expected);
    }

    #[test]
    fn every_sample_encodes_to_the_code_of_the_itu() {
        let codes: Vec<u8> = (i16::MIN..=i16::MAX).map(encode).collect();
        let hash: String = Sha256::digest(&codes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, fixture("mulaw_encode_itu.sha256").trim());
    }

    /// The hash says whether all is well; these pairs say what is not.
    #[test]
    fn recorded_samples_encode_as_recorded_except_where_the_itu_differs() {
        #[derive(Deserialize)]
        struct Samples {
            audioop: Vec<(i16, u8)>,
            itu_where_different: Vec<(i16, u8)>,
        }
        let samples: Samples = serde_json::from_str(&fixture("mulaw_encode_samples.json")).unwrap();
        assert_eq!(samples.audioop.len(), 300);
        for (sample, recorded) in samples.audioop {
            let itu = samples.itu_where_different.iter().find(|(differs, _)| *differs == sample);
            let expected = itu.map_or(recorded, |(_, code)| *code);
            assert_eq!(encode(sample), expected, "sample {sample}");
        }
    }

    #[test]
    fn a_code_survives_the_round_trip_and_negative_zero_becomes_silence() {
        for code in 0..=255 {
            let expected = if code == 0x7F { SILENCE } else { code };
            assert_eq!(encode(decode(code)), expected, "code {code:#04x}");
        }
    }

    #[test]
    fn the_loudest_samples_keep_their_sign() {
        assert_eq!((encode(i16::MAX), encode(i16::MIN)), (0x80, 0x00));
        assert_eq!((decode(0x80), decode(0x00)), (32124, -32124));
    }
}
