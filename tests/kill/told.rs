//! kill -9 between what happens, what is queued of it and what is told outside: everything is told, all under one id each.

use std::collections::{HashMap, HashSet};

use maitred::ids::ConversationId;
use rand::{SeedableRng as _, rngs::StdRng};

use crate::{
    Book, House,
    outside::{Answer, Webhooks},
};

const LIVES: usize = 8;

#[test]
fn whatever_was_acknowledged_is_told_outside_and_queued_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut hooks = Webhooks::start();
        // Half of the first thousand fail, so that much waits when a blow falls.
        hooks.behave((0..1_000).map(|turn| Answer::Status(if turn % 2 == 0 { 503 } else { 200 }, "")));
        let house = House::with(&format!(
            "[journal]\nsegment_size = \"2MiB\"\n[deliveries]\nretry_first = \"20ms\"\n\
             [limits.visitor]\nopenings = 10000\nopenings_per = \"1s\"\nmessages_per_second = 1000\nburst = 1000\n\
             [[workspace]]\nname = \"shop\"\nwhen_empty = \"queue\"\nmax_wait = \"none\"\nvisitor_grace = \"1h\"\n\
             [[workspace.webhook]]\nname = \"out\"\nurl = \"{}\"\nevents = [\"conversation.queued\"]\n",
            hooks.url()
        ));
        let mut book = Book::new(StdRng::seed_from_u64(7), house.token());
        for life in 0..LIVES {
            book.live(house.serve(), Some(20 + 7 * life)).await;
        }
        book.live(house.serve(), None).await;
        let last = house.serve();
        while !String::from_utf8_lossy(&house.deliveries()).trim().starts_with("[]") {
            tokio::task::yield_now().await;
        }
        drop(last);
        let mut told: HashMap<ConversationId, HashSet<String>> = HashMap::new();
        let mut requests = 0;
        while let Some(request) = hooks.already() {
            requests += 1;
            let conversation = request.json()["data"]["conversation"].as_str().expect("an id").parse();
            told.entry(conversation.expect("an id")).or_default().insert(request.id().to_owned());
        }
        assert!(book.open.len() > LIVES, "too little was under way to prove anything");
        for (conversation, _) in &book.open {
            let ids = told.get(conversation).unwrap_or_else(|| panic!("{conversation} was never told"));
            assert_eq!(ids.len(), 1, "{conversation} was queued more than once: {ids:?}");
        }
        println!("{} conversations, {requests} requests over {LIVES} kills", book.open.len());
    });
}
