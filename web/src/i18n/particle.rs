//! Korean particles after interpolated names: which form follows depends on the sound the name ends with.

/// A pair of forms: after a consonant, after a vowel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Particle {
    /// 은/는
    Topic,
    /// 이/가
    Subject,
    /// 을/를
    Object,
    /// 과/와
    And,
    /// 으로/로 (ㄹ counts as a vowel)
    Toward,
}

/// `name` with the particle that fits it, without a space.
pub fn with(name: &str, particle: Particle) -> String {
    let last = name.chars().rev().find(|c| c.is_alphanumeric());
    let (closed, rieul) = last.map_or((false, false), ending);
    let form = match (particle, closed) {
        (Particle::Topic, true) => "은",
        (Particle::Topic, false) => "는",
        (Particle::Subject, true) => "이",
        (Particle::Subject, false) => "가",
        (Particle::Object, true) => "을",
        (Particle::Object, false) => "를",
        (Particle::And, true) => "과",
        (Particle::And, false) => "와",
        (Particle::Toward, true) if !rieul => "으로",
        (Particle::Toward, _) => "로",
    };
    format!("{name}{form}")
}

/// Whether the sound of the last character is closed by a consonant, and whether that is ㄹ. Digits are read in Korean,
/// Latin letters as a reader of the word would end it.
fn ending(last: char) -> (bool, bool) {
    match last {
        '가'..='힣' => {
            let coda = (last as u32 - '가' as u32) % 28;
            (coda != 0, coda == 8)
        }
        '1' | '7' | '8' => (true, true),
        '0' | '3' | '6' => (true, false),
        'l' | 'L' | 'r' | 'R' => (last.eq_ignore_ascii_case(&'l'), true),
        c if c.is_ascii_alphabetic() => {
            (matches!(c.to_ascii_lowercase(), 'b' | 'c' | 'k' | 'm' | 'n' | 'p' | 'q'), false)
        }
        _ => (false, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_follows_the_sound() {
        let cases = [
            ("토픽", Particle::Object, "토픽을"),
            ("leader", Particle::Topic, "leader는"),
            ("exam-topic", Particle::Subject, "exam-topic이"),
            ("터미널", Particle::Toward, "터미널로"),
            ("broker 3", Particle::Topic, "broker 3은"),
            ("broker 2", Particle::Object, "broker 2를"),
            ("그룹", Particle::And, "그룹과"),
        ];
        for (name, particle, expected) in cases {
            assert_eq!(with(name, particle), expected);
        }
    }
}
