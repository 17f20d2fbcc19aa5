//! Spans of time as they are typed: a whole number and its unit, as in the configuration.

use std::time::Duration;

/// `500ms`, `90s`, `15m`, `8h`, `30d`.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || "a whole number with its unit, such as 500ms, 90s, 15m, 8h or 30d".to_owned();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("30d"), Ok(Duration::from_secs(2_592_000)));
        for bad in ["", "5", "s", "-1s", "1.5h", "1w", "99999999999999999999s", "18446744073709551615d"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
