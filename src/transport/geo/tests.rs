//! Against a database that the test writes itself.

#[path = "../../../tests/outside/mmdb.rs"]
mod mmdb;

use self::mmdb::{Value, database, named};
use super::*;

fn geo() -> Geo {
    let country = |code| Value::Map(vec![("iso_code", Value::Text(code))]);
    let paris = Value::Map(vec![
        ("country", country("FR")),
        ("subdivisions", Value::List(vec![country("IDF")])),
        ("city", named("Paris")),
    ]);
    let belgium = Value::Map(vec![("country", country("BE"))]);
    let bytes = database(&[([192, 0, 2, 0], 24, paris), ([198, 51, 100, 0], 25, belgium)]);
    Geo(Some(Reader::from_source(bytes).expect("a database")))
}

fn variable(name: &str, value: &str) -> Variable {
    Variable { name: name.into(), value: Body(value.into()) }
}

/// What is known of who says this, and what of that was found.
fn placed(said: &[(&str, &str)], own: Option<&str>) -> (Vec<Variable>, Vec<Variable>) {
    let mut known: Vec<Variable> = said.iter().map(|(name, value)| variable(name, value)).collect();
    let found = geo().place(&mut known, own.map(|own| own.parse().expect("an address")));
    (known, found)
}

#[test]
fn an_address_is_looked_up_and_forgotten() {
    let (known, found) = placed(&[("site", "shop"), ("ip", "192.0.2.7")], None);
    assert_eq!(known, [variable("site", "shop")]);
    assert_eq!(found, [variable("country", "FR"), variable("region", "IDF"), variable("city", "Paris")]);
    assert_eq!(placed(&[("ip", "::ffff:198.51.100.1")], None).1, [variable("country", "BE")]);
    assert!(placed(&[("ip", "198.51.100.200")], None).1.is_empty(), "beyond the network");
    assert_eq!(placed(&[("ip", "somewhere")], None), (vec![], vec![]));
}

#[test]
fn a_country_that_is_known_stays_and_the_address_goes_all_the_same() {
    let (known, found) = placed(&[("ip", "192.0.2.7"), ("country", "BE")], None);
    assert_eq!((known, found), (vec![variable("country", "BE")], vec![]));
}

#[test]
fn a_visitor_s_own_connection_counts_for_more_than_what_they_say() {
    let (known, found) = placed(&[("ip", "192.0.2.7")], Some("198.51.100.1"));
    assert_eq!((known, found), (vec![], vec![variable("country", "BE")]));
}

#[test]
fn without_a_database_the_address_is_forgotten_too() {
    let mut known = vec![variable("ip", "192.0.2.7")];
    assert!(Geo::default().place(&mut known, None).is_empty());
    assert!(known.is_empty());
}

#[test]
fn what_is_no_database_is_said_to_be_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("places.mmdb");
    assert!(matches!(Geo::read(Some(&path)), Err(Trouble::Unreadable { .. })));
    std::fs::write(&path, b"not one").expect("written");
    assert!(matches!(Geo::read(Some(&path)), Err(Trouble::Strange { .. })));
    std::fs::write(&path, database(&[])).expect("written");
    assert!(Geo::read(Some(&path)).is_ok());
    assert!(Geo::read(None).is_ok());
}
