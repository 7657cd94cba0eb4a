//! How fast virtual time runs: a logarithmic scale, and the debt of virtual time that real time builds up.

/// The scale's ends, as powers of ten: 0.01× to 100×.
pub const EXPONENT_MIN: f64 = -2.0;
pub const EXPONENT_MAX: f64 = 2.0;

/// The least share of a second that is worth showing.
pub fn speed(exponent: f64) -> f64 {
    10f64.powf(exponent.clamp(EXPONENT_MIN, EXPONENT_MAX))
}

/// `0.1×`, `2.5×`, `40×`: two digits that count.
pub fn label(exponent: f64) -> String {
    let speed = speed(exponent);
    match speed {
        s if s < 0.095 => format!("{s:.2}×"),
        s if s < 9.95 => {
            let text = format!("{s:.1}");
            format!("{}×", text.strip_suffix(".0").unwrap_or(&text))
        }
        s => format!("{s:.0}×"),
    }
}

/// `52.340`: virtual seconds to the millisecond, with minutes from one on.
pub fn clock(now_us: u64) -> String {
    let (seconds, ms) = (now_us / 1_000_000, now_us / 1_000 % 1_000);
    match seconds / 60 {
        0 => format!("{seconds}.{ms:03}"),
        minutes => format!("{minutes}:{:02}.{ms:03}", seconds % 60),
    }
}

/// Virtual time owed. A tick pays what it can; what it cannot is forgiven, so that a slow machine gets a slow clock
/// instead of an ever longer wait.
#[derive(Clone, Copy, Debug, Default)]
pub struct Debt {
    owed_us: f64,
}

impl Debt {
    /// Adds what `real_ms` milliseconds at `speed` are worth; returns the whole microseconds to run now. A tab that was
    /// hidden owes a quarter of a second at most.
    pub fn accrue(&mut self, real_ms: f64, speed: f64) -> u64 {
        self.owed_us += real_ms.clamp(0.0, 250.0) * 1_000.0 * speed;
        let whole = self.owed_us.floor();
        self.owed_us -= whole;
        whole as u64
    }

    pub fn forgive(&mut self) {
        self.owed_us = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        let cases = [
            (-2.0, "0.01×"),
            (-1.0, "0.1×"),
            (0.0, "1×"),
            (0.4, "2.5×"),
            (1.0, "10×"),
            (2.0, "100×"),
            (9.0, "100×"),
        ];
        for (exponent, expected) in cases {
            assert_eq!(label(exponent), expected);
        }
    }

    #[test]
    fn clocks() {
        assert_eq!(clock(52_340_000), "52.340");
        assert_eq!(clock(999), "0.000");
        assert_eq!(clock(61_002_000), "1:01.002");
    }

    #[test]
    fn slow_speeds_lose_nothing() {
        let mut debt = Debt::default();
        let total: u64 = (0..1_000).map(|_| debt.accrue(0.05, 0.01)).sum();
        assert!((499..=500).contains(&total), "{total}");
    }

    #[test]
    fn a_hidden_tab_does_not_owe_its_hours() {
        assert_eq!(Debt::default().accrue(3_600_000.0, 1.0), 250_000);
    }
}
