//! Business hours on a daemon whose clock is moved over a weekend: a time zone, a change of the clocks, a holiday.

use maitred::{
    clock::Timestamp,
    ids::ConversationId,
    protocol::{
        notice::StaffChange,
        words::{FallbackReason, Status},
    },
};

use super::floor::{Floor, Seat, Shape, group, opening, seconds, stories, visitor};

stories! {
    hours_go_by_the_clocks_of_the_town,
    the_line_of_a_closed_group_is_served_when_it_opens,
    a_closed_group_overflows_to_one_that_is_open,
    deadlines_of_opening_survive_a_restart,
}

/// The clocks go forth on 2026-03-29 at 02:00 in Paris: that is 01:00 UTC. Monday the 30th is a holiday.
const TOWN: &str = r#"
[limits.visitor]
openings = 1000
[[workspace]]
name = "test"
[workspace.hours.office]
timezone = "Europe/Paris"
weekly = { sat = ["09:00-12:00"], sun = ["02:30-03:30"], mon = ["09:00-17:00"], tue = ["09:00-17:00"] }
holidays = ["2026-03-30"]
[[workspace.group]]
name = "office"
hours = "office"
fallback_message = "We are closed."
[[workspace.group]]
name = "patient"
hours = "office"
when_closed = "queue"
max_wait = "1d"
[[workspace.group]]
name = "polite"
hours = "office"
when_closed = "overflow"
overflow = "always"
[[workspace.group]]
name = "always"
when_empty = "queue"
"#;

fn at(text: &str) -> Timestamp {
    let moment: jiff::Timestamp = text.parse().expect("a moment");
    Timestamp::from_micros(u64::try_from(moment.as_microsecond()).expect("after 1970"))
}

/// The clock stands at this moment from now on.
fn until(floor: &Floor, moment: &str) {
    floor.wait(at(moment).since(floor.clock.now()));
}

/// A visitor comes to this group now.
async fn comes(floor: &Floor, desk: &Seat, number: u16, name: &str) -> ConversationId {
    let id = floor.new_id();
    desk.client.open(opening(id, visitor(number), group(name))).await.expect("opened");
    id
}

/// Why a conversation fell back, and what its visitor was told; nothing if it did not.
async fn fallback(watch: &Seat, id: ConversationId) -> Option<(FallbackReason, String)> {
    watch.staff_history(id).await.into_iter().find_map(|entry| match entry.event {
        StaffChange::FellBack { reason, message } => {
            Some((reason, message.map(|text| text.as_str().to_owned()).unwrap_or_default()))
        }
        _ => None,
    })
}

async fn hours_go_by_the_clocks_of_the_town(shape: Shape) {
    let floor = Floor::open_at(TOWN, shape, at("2026-03-28T07:59:59Z"), "").await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let (ana, _seat) = floor.agent("ana", &["office"], 50, shape).await;
    let closed = Some((FallbackReason::ClosedHours, "We are closed.".to_owned()));
    let mut number = 0;
    for (moment, open) in [
        ("2026-03-28T07:59:59Z", false), // Saturday, 08:59:59 in Paris
        ("2026-03-28T08:00:00Z", true),
        ("2026-03-28T10:59:59Z", true),
        ("2026-03-28T11:00:00Z", false),
        ("2026-03-29T00:59:59Z", false), // Sunday, 01:59:59
        ("2026-03-29T01:00:00Z", true),  // 03:00: the half hour from 02:30 on is there only from here
        ("2026-03-29T01:29:59Z", true),
        ("2026-03-29T01:30:00Z", false),
        ("2026-03-30T10:00:00Z", false), // Monday, the holiday
        ("2026-03-31T06:59:59Z", false), // Tuesday, 08:59:59 in summer
        ("2026-03-31T07:00:00Z", true),
    ] {
        until(&floor, moment);
        number += 1;
        let id = comes(&floor, &desk, number, "office").await;
        let detail = watch.detail(id).await;
        if open {
            assert_eq!((fallback(&watch, id).await, detail.row.status), (None, Status::Offered), "{moment}");
            let stay = detail.stay.expect("a stay");
            assert_eq!(stay.pending.iter().map(|offer| offer.agent).collect::<Vec<_>>(), [ana], "{moment}");
        } else {
            assert_eq!(
                (fallback(&watch, id).await, detail.row.status),
                (closed.clone(), Status::Missed),
                "{moment}"
            );
        }
    }
}

async fn the_line_of_a_closed_group_is_served_when_it_opens(shape: Shape) {
    let floor = Floor::open_at(TOWN, shape, at("2026-03-28T23:00:00Z"), "").await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let (_ana, mut seat) = floor.agent("ana", &["patient"], 1, shape).await;
    let first = comes(&floor, &desk, 1, "patient").await;
    floor.wait(seconds(1));
    let second = comes(&floor, &desk, 2, "patient").await;
    until(&floor, "2026-03-29T00:59:59Z");
    assert!(
        seat.drain().await.iter().all(|notice| !matches!(notice, maitred::protocol::Notice::OfferMade(_)))
    );
    assert_eq!(watch.status(first).await, Status::Waiting);
    // The very moment, at which the clocks go from 02:00 to 03:00.
    floor.wait(seconds(1));
    seat.sees_offer(first).await;
    assert_eq!(watch.status(second).await, Status::Waiting, "one at a time");
}

async fn a_closed_group_overflows_to_one_that_is_open(shape: Shape) {
    let floor = Floor::open_at(TOWN, shape, at("2026-03-30T10:00:00Z"), "").await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let (_ana, mut seat) = floor.agent("ana", &["always"], 5, shape).await;
    let (_ben, _ben_seat) = floor.agent("ben", &["polite"], 5, shape).await;
    let id = comes(&floor, &desk, 1, "polite").await;
    seat.sees_offer(id).await;
    let detail = watch.detail(id).await;
    assert_eq!(detail.row.group.expect("a group").to_string(), "always");
    assert_eq!(fallback(&watch, id).await, None);
}

async fn deadlines_of_opening_survive_a_restart(shape: Shape) {
    let mut floor = Floor::open_at(TOWN, shape, at("2026-03-31T06:58:00Z"), "").await;
    let desk = floor.frontend(shape).await;
    let id = comes(&floor, &desk, 1, "patient").await;
    // It goes down while it is closed, and is there again before it opens.
    floor.restart(seconds(60)).await;
    let desk = floor.frontend(shape).await;
    desk.client.announce(visitor(1), true).await.expect("still there");
    let (_ana, mut seat) = floor.agent("ana", &["patient"], 1, shape).await;
    until(&floor, "2026-03-31T06:59:59Z");
    assert!(
        seat.drain().await.iter().all(|notice| !matches!(notice, maitred::protocol::Notice::OfferMade(_)))
    );
    floor.wait(seconds(1));
    seat.sees_offer(id).await;
}
