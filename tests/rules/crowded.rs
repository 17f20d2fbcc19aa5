//! Many agents with many conversations each, all of them busy: BO-22. How fast it is, `loadtest/scenarios/console.toml` measures;
//! here everything that everybody is told has to be right, and in order.

use std::collections::BTreeMap;

use maitred::{
    ids::{AgentId, ConversationId},
    protocol::{
        Notice,
        notice::StaffChange,
        reply::{ConversationPage, Done},
        request::{ListConversations, MarkRead},
        words::{ListFilter, ListView, Speaker, View},
    },
};

use crate::{
    floor::{Encoding, Seat, Shape, group, new_id, opening, visitor},
    house::rule,
    scenes::to_agent,
    screen::{Screen, tick},
};

const AGENTS: u16 = 12;
const EACH: u16 = 10;
const ROUNDS: usize = 5;

/// An agent with the conversations that are theirs.
struct Console {
    agent: AgentId,
    seat: Seat,
    own: Vec<ConversationId>,
}

/// Who wrote what, in the order in which it was told, with the number of each event.
type Told = BTreeMap<ConversationId, Vec<(u64, String)>>;

fn told(notices: Vec<Notice>) -> Told {
    let mut told = Told::new();
    for notice in notices {
        if let Notice::StaffEvent(event) = notice {
            let text = match event.entry.event {
                StaffChange::Said { body } => body.as_str().to_owned(),
                _ => String::new(),
            };
            told.entry(event.conversation).or_default().push((event.entry.seq, text));
        }
    }
    told
}

rule!(
    bo_22_a_crowd_of_busy_consoles_is_told_everything_in_order,
    preset = "botnation",
    with = r#"
        [defaults]
        cap = 10
        seats = 50
        [limits.visitor]
        messages_per_second = 1000
        burst = 1000
        [limits.agent]
        commands_per_second = 1000
        burst = 1000
    "#,
    flip = "defaults.cap = 9",
    async |house| {
        let (desk, watch) = (house.desk().await, house.watch().await);
        let mut consoles = Vec::new();
        for number in 0..AGENTS {
            let (agent, seat) = house.agent(&format!("agent-{number}"), &["advisers"]).await;
            consoles.push(Console { agent, seat, own: Vec::new() });
        }
        // Conversation n is agent n / 10's.
        let whose = |console: usize, place: usize| console as u16 * EACH + place as u16;
        let ids: Vec<ConversationId> = (0..AGENTS * EACH).map(|_| new_id()).collect();
        let open = |(number, id): (u16, &ConversationId)| {
            desk.client.open(opening(*id, visitor(number), group("advisers")))
        };
        for opened in (0..).zip(&ids).map(open).collect::<Vec<_>>() {
            opened.await.expect("opened");
        }
        for (console, own) in consoles.iter_mut().zip(ids.chunks(usize::from(EACH))) {
            console.own = own.to_vec();
            let given =
                own.iter().map(|id| watch.client.assign(*id, Speaker::Me, to_agent(console.agent), false));
            for given in given.collect::<Vec<_>>() {
                given.await.expect("there is room for ten");
            }
        }
        for console in &mut consoles {
            // What they were asked and given; from here on it is what is written.
            console.seat.drain().await;
        }

        // Everybody lists and filters.
        let mut mine = Vec::new();
        for console in &mut consoles {
            let agent = Some(console.agent);
            let screen = Screen::keep(&mut console.seat, agent, ListView::Livechat, ListFilter::Mine).await;
            assert_eq!(screen.ids(), sorted(&console.own));
            mine.push(screen);
        }

        // Everybody writes at once, visitors and agents, again and again.
        for round in 0..ROUNDS {
            let mut written = Vec::new();
            for (number, id) in (0..).zip(&ids) {
                let text = format!("question {round}");
                written.push(desk.client.say(*id, Speaker::Visitor(visitor(number)), &text));
            }
            for console in &consoles {
                for id in &console.own {
                    written.push(console.seat.client.say(*id, Speaker::Me, &format!("answer {round}")));
                }
            }
            for written in written {
                written.await.expect("written");
            }
            tick(house, &watch).await;
        }

        for (number, (console, mine)) in consoles.iter_mut().zip(&mut mine).enumerate() {
            // Pushed: each conversation's events came in order, none twice, none left out.
            let (listed, told): (Vec<_>, Vec<_>) =
                console.seat.drain().await.into_iter().partition(|notice| mine.is_of(notice));
            listed.into_iter().for_each(|notice| mine.take(notice));
            let told = self::told(told);
            assert_eq!(told.keys().copied().collect::<Vec<_>>(), sorted(&console.own));
            for events in told.values() {
                let numbers: Vec<u64> = events.iter().map(|(seq, _)| *seq).collect();
                let behind = numbers[0]..numbers[0] + numbers.len() as u64;
                assert_eq!(numbers, behind.collect::<Vec<_>>());
                for who in ["question", "answer"] {
                    let said = events.iter().filter(|(_, text)| text.starts_with(who));
                    let said: Vec<&str> = said.map(|(_, text)| text.as_str()).collect();
                    let wanted: Vec<String> = (0..ROUNDS).map(|round| format!("{who} {round}")).collect();
                    assert_eq!(said, wanted);
                }
            }
            // What is pushed of the list comes to the same as the events, and listed anew it is what was pushed.
            let asked_last = |id: &ConversationId| {
                told[id]
                    .iter()
                    .rfind(|(_, text)| !text.is_empty())
                    .is_some_and(|(_, text)| text.starts_with("question"))
            };
            tick(house, &console.seat).await;
            let right = |list: &Screen| {
                list.rows.iter().all(|(id, row)| row.unanswered == asked_last(id) && row.unread)
            };
            mine.until(&mut console.seat, right).await;
            let agent = Some(console.agent);
            let mut again =
                Screen::keep(&mut console.seat, agent, ListView::Livechat, ListFilter::Mine).await;
            assert_eq!(again.ids(), sorted(&console.own));
            assert!(right(&again));
            // Filtered, it is what has been asked since.
            let asked = console.own[number % usize::from(EACH)];
            let from = Speaker::Visitor(visitor(whose(number, number % usize::from(EACH))));
            let read = again.rows.iter().map(|(id, row)| {
                let read = MarkRead { conversation: *id, speaker: Speaker::Me, seq: row.row.seq };
                console.seat.client.ask::<Done>(read)
            });
            for read in read.collect::<Vec<_>>() {
                read.await.expect("read");
            }
            desk.client.say(asked, from, "are you there?").await.expect("said");
            tick(house, &console.seat).await;
            let only = |list: &Screen| list.rows.iter().all(|(id, row)| row.unread == (*id == asked));
            again.until(&mut console.seat, |list| only(list) && list.row(asked).unanswered).await;
            assert_eq!(again.ids(), sorted(&console.own));
            let mut unread =
                Screen::keep(&mut console.seat, agent, ListView::Livechat, ListFilter::Unread).await;
            unread.until(&mut console.seat, |list| !list.more).await;
            // Those of colleagues too, which she has never read.
            let own = unread.ids().into_iter().filter(|id| console.own.contains(id));
            assert_eq!(own.collect::<Vec<_>>(), [asked]);
            // Opened: who has it, and all that was ever written.
            assert_eq!(console.seat.detail(asked).await.row.owner, Some(console.agent));
            let history = console.seat.staff_history(asked).await;
            let numbers: Vec<u64> = history.iter().map(|entry| entry.seq).collect();
            assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
            assert!(numbers.len() > ROUNDS * 2);
        }
        let (mut active, mut cursor) = (0, None);
        loop {
            let list = ListConversations { view: View::Active, group: None, agent: None, cursor, limit: 100 };
            let page: ConversationPage = watch.client.ask(list).await.expect("a page");
            active += page.rows.iter().count();
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(active, ids.len());
    }
);

rule!(
    bo_22_who_has_little_room_is_told_later_and_nothing_is_missing,
    preset = "botnation",
    with = r#"
        [defaults]
        seats = 50
        [limits]
        outbox = "64KiB"
        [limits.visitor]
        openings = 1000
    "#,
    flip = none("room that is larger makes it quicker, and no more right"),
    async |house| {
        let desk = house.desk().await;
        // One program with the consoles of many, each with a list of everything.
        let mut console = house.floor.frontend(Shape { encoding: Encoding::Json, arbiters: 1 }).await;
        let mut screens = Vec::new();
        for number in 0..AGENTS {
            let agent = house.known(&format!("agent-{number}"), &["advisers"]).await;
            console.client.attach(agent).await.expect("attached");
            let (view, filter) = (ListView::Livechat, ListFilter::All);
            screens.push(Screen::keep(&mut console, Some(agent), view, filter).await);
        }
        // At once some hundred kilobytes of news: more than there is room for.
        let ids: Vec<ConversationId> = (0..64).map(|_| new_id()).collect();
        let open = |(number, id): (u16, &ConversationId)| {
            desk.client.open(opening(*id, visitor(number), group("advisers")))
        };
        for opened in (0..).zip(&ids).map(open).collect::<Vec<_>>() {
            opened.await.expect("opened");
        }
        let ids = sorted(&ids);
        let mut ticks = 0;
        while screens.iter().any(|screen| screen.ids() != ids) {
            tick(house, &console).await;
            for notice in console.drain().await {
                if let Some(screen) = screens.iter_mut().find(|screen| screen.is_of(&notice)) {
                    // Fails at a gap.
                    screen.take(notice);
                }
            }
            ticks += 1;
            assert!(ticks < 200, "some are never told");
        }
        // Each of them once, as a change of one list or as two.
        assert!(screens.iter().all(|screen| screen.version() <= 3));
    }
);

fn sorted(ids: &[ConversationId]) -> Vec<ConversationId> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}
