//! Where visitors are, by the address that a frontend says: out of a database that the test writes.

use maitred::protocol::{
    Text, Variables,
    request::Open,
    words::{Target, Variable},
};

use super::{
    floor::{Floor, Seat, Shape, new_id, opening, seconds, stories, today, visitor},
    outside::mmdb::{Value, database, named},
};

stories! {
    who_is_asked_follows_from_the_address,
}

const SHOP: &str = r#"
[limits.visitor]
openings = 1000
[[workspace]]
name = "test"
default_group = "world"
[[workspace.rule]]
name = "paris"
when = [{ name = "country", eq = "FR" }, { name = "city", eq = "Paris" }]
then = { group = "paris" }
[[workspace.rule]]
name = "belgium"
when = { name = "country", eq = "BE" }
then = { group = "belgium" }
[[workspace.group]]
name = "world"
when_empty = "queue"
[[workspace.group]]
name = "paris"
when_empty = "queue"
[[workspace.group]]
name = "belgium"
when_empty = "queue"
"#;

/// 192.0.2.0/24 is in Paris, 198.51.100.0/25 somewhere in Belgium.
fn places() -> Vec<u8> {
    let country = |code| Value::Map(vec![("iso_code", Value::Text(code))]);
    let paris = Value::Map(vec![
        ("country", country("FR")),
        ("subdivisions", Value::List(vec![country("IDF")])),
        ("city", named("Paris")),
    ]);
    let belgium = Value::Map(vec![("country", country("BE"))]);
    database(&[([192, 0, 2, 0], 24, paris), ([198, 51, 100, 0], 25, belgium)])
}

/// The group that a visitor comes to of whom this is said, and what is known of them then.
async fn comes_to(
    desk: &Seat,
    watch: &Seat,
    number: u16,
    said: &[(&str, &str)],
) -> (String, Vec<(String, String)>) {
    let variable =
        |(name, value): &(&str, &str)| Variable { name: Text::clip(name), value: Text::clip(value) };
    let variables = Variables::try_from(said.iter().map(variable).collect::<Vec<_>>()).expect("few");
    let id = new_id();
    let open = Open { variables, ..opening(id, visitor(number), Target::Default) };
    desk.client.open(open).await.expect("opened");
    let detail = watch.detail(id).await;
    let known =
        detail.variables.iter().map(|one| (one.name.as_str().to_owned(), one.value.as_str().to_owned()));
    (detail.row.group.expect("a group").to_string(), known.collect())
}

async fn who_is_asked_follows_from_the_address(shape: Shape) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("places.mmdb");
    std::fs::write(&file, places()).expect("written");
    let mut floor = Floor::open_at(SHOP, shape, today(), &format!("geoip = {file:?}")).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());

    let (group, known) = comes_to(&desk, &watch, 1, &[("ip", "192.0.2.7"), ("site", "shop")]).await;
    assert_eq!(group, "paris");
    // Where they are stays; the address itself nobody ever sees.
    let place = [fact("city", "Paris"), fact("country", "FR"), fact("region", "IDF"), fact("site", "shop")];
    assert_eq!(in_order(known), place);
    let (group, known) = comes_to(&desk, &watch, 2, &[("ip", "::ffff:198.51.100.1")]).await;
    assert_eq!((group.as_str(), known), ("belgium", vec![fact("country", "BE")]));
    // Beyond the network, and what is no address.
    for (number, ip) in [(3, "198.51.100.200"), (4, "somewhere")] {
        let (group, known) = comes_to(&desk, &watch, number, &[("ip", ip)]).await;
        assert_eq!((group.as_str(), known), ("world", vec![]), "{ip}");
    }
    // What the frontend knows better.
    let (group, known) = comes_to(&desk, &watch, 5, &[("ip", "192.0.2.7"), ("country", "BE")]).await;
    assert_eq!((group.as_str(), known), ("belgium", vec![fact("country", "BE")]));

    // It was decided once: without the database they are still where they were.
    std::fs::remove_file(&file).expect("removed");
    std::fs::write(&file, database(&[])).expect("written");
    floor.restart(seconds(3)).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let again = opening(new_id(), visitor(1), Target::Default);
    let opened = desk.client.open(again).await.expect("the open one");
    assert!(opened.existing);
    assert_eq!(watch.detail(opened.conversation).await.row.group.expect("a group").to_string(), "paris");
    let (group, _) = comes_to(&desk, &watch, 6, &[("ip", "192.0.2.7")]).await;
    assert_eq!(group, "world", "and of who comes now nothing is known");
}

fn in_order(mut known: Vec<(String, String)>) -> Vec<(String, String)> {
    known.sort();
    known
}
