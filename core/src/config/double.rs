//! Decimals as doubles, rounded to the nearest, ties to even.
//!
//! The standard library does the same, with ten kilobytes of powers of five that nothing compresses; here it may take a millisecond.

use std::cmp::Ordering;

/// Digits that count; one that is not nought behind them can only break a tie.
const DIGITS_MAX: usize = 800;
/// Powers of ten that a double holds exactly.
const EXACT: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
const MANTISSA_BITS: u32 = 52;
const INFINITY: u64 = 0x7ff << MANTISSA_BITS;

/// `[+-]digits[.digits][e[+-]digits]`, with a digit at least on one side of the point; `None` for everything else.
pub fn parse(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, whole(exponent)?),
        None => (unsigned, 0),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if (before.is_empty() && after.is_empty()) || !is_number(before) || !is_number(after) {
        return None;
    }
    let all = before.bytes().chain(after.bytes());
    let mut digits: Vec<u8> = all.skip_while(|byte| *byte == b'0').map(|byte| byte - b'0').collect();
    let mut exponent = exponent.saturating_sub(i64::try_from(after.len()).ok()?);
    if let Some(behind) = digits.get(DIGITS_MAX..) {
        exponent = exponent.saturating_add(i64::try_from(behind.len()).ok()?);
        let is_more = behind.iter().any(|digit| *digit != 0);
        digits.truncate(DIGITS_MAX);
        if is_more {
            digits.push(1);
            exponent = exponent.saturating_sub(1);
        }
    }
    let magnitude = nearest(&digits, exponent);
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

/// An exponent; one beyond all doubles is as good as another.
fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digit = |byte: u8| i64::from(byte - b'0');
    let magnitude =
        digits.bytes().fold(0_i64, |sum, byte| sum.saturating_mul(10).saturating_add(digit(byte)));
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

/// The double nearest to digits × 10^exponent.
fn nearest(digits: &[u8], exponent: i64) -> f64 {
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    // 10^309 is beyond the greatest, 10^-324 is less than half of the least.
    match exponent.saturating_add(length) {
        _ if digits.is_empty() => return 0.0,
        310.. => return f64::INFINITY,
        ..-324 => return 0.0,
        _ => {}
    }
    let power = usize::try_from(exponent.unsigned_abs()).unwrap_or(usize::MAX);
    if digits.len() <= 15
        && let Some(power) = EXACT.get(power)
    {
        // Both are exact, so that the one operation rounds once.
        let mantissa = digits.iter().fold(0.0, |sum, digit| sum * 10.0 + f64::from(*digit));
        return if exponent < 0 { mantissa / power } else { mantissa * power };
    }
    let decimal = Decimal::new(digits, exponent, power);
    // Bits of positive doubles are in their order: the greatest that is not above is searched for.
    let (mut low, mut high) = (0, INFINITY);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let (mantissa, shift) = parts(middle);
        match decimal.compare(mantissa, shift) {
            Ordering::Less => high = middle,
            Ordering::Equal | Ordering::Greater => low = middle,
        }
    }
    let (mantissa, shift) = parts(low);
    let is_up = match decimal.compare(2 * mantissa + 1, shift - 1) {
        Ordering::Less => false,
        Ordering::Equal => low & 1 == 1,
        Ordering::Greater => true,
    };
    f64::from_bits(low + u64::from(is_up))
}

/// A double as mantissa × 2^shift.
fn parts(bits: u64) -> (u64, i32) {
    let mantissa = bits & ((1 << MANTISSA_BITS) - 1);
    let exponent = i32::try_from(bits >> MANTISSA_BITS).unwrap_or(0);
    if exponent == 0 { (mantissa, -1074) } else { (mantissa | (1 << MANTISSA_BITS), exponent - 1075) }
}

/// Digits × 10^exponent, to be compared with doubles exactly.
struct Decimal {
    /// Digits × 10^exponent, without the exponent where that is negative ...
    whole: Large,
    /// ... and then 10^−exponent.
    tens: usize,
}

impl Decimal {
    fn new(digits: &[u8], exponent: i64, power: usize) -> Self {
        let mut whole = Large::default();
        for digit in digits {
            whole.multiply(10, u32::from(*digit));
        }
        let tens = if exponent < 0 { power } else { 0 };
        (0..power - tens).for_each(|_| whole.multiply(10, 0));
        Self { whole, tens }
    }

    /// With mantissa × 2^shift.
    fn compare(&self, mantissa: u64, shift: i32) -> Ordering {
        let (mut own, mut other) =
            (self.whole.clone(), Large(vec![mantissa as u32, (mantissa >> 32) as u32]));
        (0..self.tens).for_each(|_| other.multiply(10, 0));
        let side = if shift < 0 { &mut own } else { &mut other };
        side.shift(shift.unsigned_abs());
        own.compare(&other)
    }
}

/// A whole number, its least part first.
#[derive(Clone, Default)]
struct Large(Vec<u32>);

impl Large {
    fn multiply(&mut self, factor: u32, plus: u32) {
        let mut carry = u64::from(plus);
        for part in &mut self.0 {
            carry += u64::from(*part) * u64::from(factor);
            *part = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    /// To the left by so many bits.
    fn shift(&mut self, bits: u32) {
        self.multiply(1 << (bits % 32), 0);
        self.0.splice(0..0, (0..bits / 32).map(|_| 0));
    }

    fn compare(&self, other: &Self) -> Ordering {
        let significant =
            |large: &Self| large.0.iter().rposition(|part| *part != 0).map_or(0, |last| last + 1);
        let (own, others) = (significant(self), significant(other));
        own.cmp(&others).then_with(|| self.0.iter().take(own).rev().cmp(other.0.iter().take(others).rev()))
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::rng::Rng;

    #[test]
    fn doubles_are_those_of_the_standard_library() {
        let same = |text: &str| {
            let (own, other) = (parse(text), text.parse::<f64>().ok());
            assert_eq!(own.map(f64::to_bits), other.map(f64::to_bits), "{text}");
        };
        for text in [
            "0",
            "-0",
            "0.0",
            "1",
            "-1.5",
            "+2.",
            ".5",
            ".",
            "",
            "e5",
            "1e",
            "1e+",
            "1.2.3",
            "1e5.5",
            "-",
            "0e999999",
            "1e999999999999999999999",
            "1e-99999999999999999999",
            "1.7976931348623157e308",
            "1.7976931348623158e308",
            "1.7976931348623159e308",
            "4.9e-324",
            "2.4703282292062327e-324",
            "2.4703282292062328e-324",
            "2.2250738585072011e-308",
            "2.2250738585072014e-308",
            "9007199254740993",
            "9007199254740992.99999999999999",
            "9007199254740993.00000000000001",
        ] {
            same(text);
        }
        // A tie that only a digit far behind breaks.
        for last in ["", "1", "0"] {
            same(&format!("9007199254740993.{}{last}", "0".repeat(900)));
            same(&format!("{}{last}e-850", "9007199254740993".to_owned() + &"0".repeat(850)));
        }
        let mut rng = Rng::from_seed(1);
        for _ in 0..600 {
            let number = f64::from_bits(rng.next_u64());
            if number.is_finite() {
                same(&format!("{number:e}"));
            }
            let digits: String =
                (0..1 + rng.below(25)).map(|_| char::from(b'0' + rng.below(10) as u8)).collect();
            same(&format!("{digits}e{}", i64::try_from(rng.below(700)).unwrap() - 360));
            same(&format!("0.{digits}"));
        }
    }
}
