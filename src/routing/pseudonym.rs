//! What staff see a visitor as: text with variables in it, or an anonymous label that stays the same (BO-14).

use crate::ids::VisitorId;

/// The longest pseudonym, in bytes; what is longer ends there.
const LENGTH_MAX: usize = 128;

/// Fills `{{name}}` in with what `known` says of it. `None` where one of them is not known, or nothing would be left to read: never an
/// empty text, and never the template itself.
#[must_use]
pub fn pseudonym<'v>(template: &str, known: impl Fn(&str) -> Option<&'v str>) -> Option<Box<str>> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}")?;
        let value = known(name.trim()).map(str::trim).filter(|value| !value.is_empty())?;
        text.push_str(before);
        text.push_str(value);
        rest = after;
    }
    text.push_str(rest);
    text.truncate(text.floor_char_boundary(LENGTH_MAX));
    (!text.trim().is_empty()).then(|| text.into_boxed_str())
}

/// A label that says nothing of a visitor and is the same for ever: `visitor 3f2a91`.
#[must_use]
pub fn anonymous(visitor: VisitorId) -> String {
    // FNV-1a: the same in every build. Two visitors may share one, as two people may share a name.
    let hash = visitor
        .bytes()
        .iter()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    format!("visitor {:06x}", hash >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Option<&'static str> {
        match name {
            "PRENOM" => Some("Léa"),
            "SOCIETE" => Some("Acme"),
            "EMPTY" => Some("  "),
            "LONG" => Some("éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé"),
            _ => None,
        }
    }

    #[test]
    fn variables_are_filled_in_and_nothing_else_is_ever_shown() {
        let made = |template| pseudonym(template, known).as_deref().map(str::to_owned);
        assert_eq!(made("{{PRENOM}} ({{ SOCIETE }})").as_deref(), Some("Léa (Acme)"));
        assert_eq!(made("a guest").as_deref(), Some("a guest"));
        for template in ["{{PRENOM}} ({{VILLE}})", "{{EMPTY}}", "{{PRENOM", "", "  "] {
            assert_eq!(made(template), None, "{template:?}");
        }
        assert_eq!(made("x{{LONG}}").expect("cut").len(), 127, "at a character");
    }

    #[test]
    fn a_label_stays_and_differs() {
        let (one, two) = (VisitorId::from_bytes([1; 16]), VisitorId::from_bytes([2; 16]));
        assert_eq!(anonymous(one), anonymous(one));
        assert_ne!(anonymous(one), anonymous(two));
    }
}
