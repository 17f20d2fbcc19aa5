//! Routing rules and conditions, which several products have: AD-10, AD-13, AD-14 and BR-12.

use maitred::{
    ids::{AgentId, ConversationId},
    protocol::{
        notice::StaffChange,
        reply::{Explanation, Verdict},
        request::Explain,
        words::{FallbackReason, Presence, Speaker, Status, Target},
    },
};

use crate::{
    floor::{Seat, visitor},
    house::rule,
    scenes::{opens_with, reasons},
};

/// A visitor asks for nobody in particular.
async fn opens(desk: &Seat, whose: u16, known: &[(&str, &str)]) -> ConversationId {
    opens_with(desk, whose, Target::Default, known).await
}

async fn offered(watch: &Seat, id: ConversationId) -> Vec<AgentId> {
    let history = watch.staff_history(id).await.into_iter();
    let offers = history.filter_map(|entry| match entry.event {
        StaffChange::Offered { agent, .. } => Some(agent),
        _ => None,
    });
    offers.collect()
}

/// Every rule's verdict, as the decision record has it.
async fn said(watch: &Seat, id: ConversationId) -> Vec<(String, Verdict)> {
    let explanation: Explanation =
        watch.client.ask(Explain { conversation: id, agent: None }).await.expect("explained");
    let rules = explanation.rules.expect("the rules were asked");
    rules.verdicts.iter().map(|said| (said.rule.as_str().to_owned(), said.verdict)).collect()
}

rule!(
    ad_10_everybody_in_turns_one_agent_rules_or_a_team,
    preset = "adobe",
    with = r#"
        [[workspace.rule]]
        name = "chosen"
        when = { name = "plan", eq = "gold" }
        then = { agent = "46941422-5cee-5b9f-aaa7-fd371e5ab37d" }
        [[workspace.rule]]
        name = "team"
        when = { name = "plan", eq = "team" }
        then = { group = "prime" }
    "#,
    flip = [
        "workspace.rule.chosen.then = { group = \"prime\" }",
        "workspace.rule.team.then = { group = \"everyone\" }",
        "workspace.default_group = \"prime\"",
    ],
    async |house| {
        let (ana, _ana) = house.agent("ana", &["support"]).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        let (cleo, _cleo) = house.agent("cleo", &["prime"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let agent = opens(&desk, 1, &[("plan", "gold")]).await;
        assert_eq!(offered(&watch, agent).await, [ben], "one chosen agent");
        let team = opens(&desk, 2, &[("plan", "team")]).await;
        assert_eq!(offered(&watch, team).await, [cleo], "a team");
        let mut turns = Vec::new();
        for whose in 3..6 {
            let id = opens(&desk, whose, &[]).await;
            turns.extend(offered(&watch, id).await);
        }
        assert_eq!(turns, [ana, ben, cleo], "round robin over all, if no rule says otherwise");
    }
);

rule!(
    ad_13_all_rules_are_analysed_with_the_visitor_s_place,
    preset = "adobe",
    with = r#"
        [[workspace.rule]]
        name = "paris"
        when = [{ name = "country", eq = "FR" }, { name = "region", prefix = "Île" }]
        then = { group = "prime" }
        [[workspace.rule]]
        name = "french"
        when = { name = "country", in = ["FR", "BE"] }
        then = { group = "support" }
        [[workspace.rule]]
        name = "american"
        when = "country == 'US'"
        then = { group = "prime" }
    "#,
    flip = [
        "workspace.rule.french.when = { name = \"country\", eq = \"US\" }",
        "workspace.rule.paris.then = { group = \"support\" }",
        "!workspace.rule.american",
    ],
    async |house| {
        let (ana, _ana) = house.agent("ana", &["support"]).await;
        let (cleo, cleo_seat) = house.agent("cleo", &["prime"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let verdicts = |paris, french, american| {
            [("paris", paris), ("french", french), ("american", american)]
                .map(|(name, verdict)| (name.to_owned(), verdict))
        };
        let (yes, no) = (Verdict::Matched, Verdict::NotMatched);
        let id = opens(&desk, 1, &[("country", "FR"), ("region", "Île-de-France")]).await;
        assert_eq!(offered(&watch, id).await, [cleo], "the first that matches");
        assert_eq!(said(&watch, id).await, verdicts(yes, yes, no), "and every verdict");
        let id = opens(&desk, 2, &[("country", "BE")]).await;
        assert_eq!(offered(&watch, id).await, [ana]);
        assert_eq!(said(&watch, id).await, verdicts(no, yes, no));
        cleo_seat.client.set_presence(cleo, Presence::Offline).await.expect("offline");
        let id = opens(&desk, 3, &[("country", "FR"), ("region", "Île-de-France")]).await;
        assert_eq!(offered(&watch, id).await, [ana], "the first that has an eligible agent");
        assert_eq!(said(&watch, id).await, verdicts(yes, yes, no));
        cleo_seat.client.set_presence(cleo, Presence::Online).await.expect("online");
        let id = opens(&desk, 4, &[("country", "US")]).await;
        assert_eq!(offered(&watch, id).await, [cleo]);
    }
);

rule!(
    ad_14_eligible_to_no_rule_reads_the_live_chat_message,
    preset = "adobe",
    with = r#"
        [workspace]
        default_group = "none"
        [[workspace.rule]]
        name = "french"
        when = { name = "country", eq = "FR" }
        then = { group = "support" }
    "#,
    flip = [
        "workspace.default_group = \"support\"",
        "defaults.livechat_fallback_message = \"Another text.\"",
        "workspace.rule.french.when = { name = \"country\", eq = \"DE\" }",
    ],
    async |house| {
        let (_ana, _seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = opens(&desk, 1, &[("country", "DE")]).await;
        assert_eq!(
            (watch.status(id).await, reasons(&watch, id).await),
            (Status::Missed, vec![FallbackReason::NoRule])
        );
        let seen = desk.visitor_history(id, Speaker::Visitor(visitor(1))).await;
        let told = seen.into_iter().find_map(|entry| match entry.change {
            maitred::protocol::notice::VisitorChange::Fallback { message } => {
                Some(message.as_str().to_owned())
            }
            _ => None,
        });
        assert_eq!(
            told.as_deref(),
            Some("No agent could take your chat. Please leave us your e-mail address.")
        );
    }
);

rule!(
    br_12_every_operator_is_honoured_and_recorded,
    preset = "brevo",
    with = r#"
        # Who is asked to choose a group is not sent by rules.
        [workspace.picker]
        enabled = false
        [[workspace.rule]]
        name = "site"
        when = { name = "site", eq = "shop.example" }
        then = { group = "everyone" }
        [[workspace.rule]]
        name = "payment"
        when = { name = "page.url", contains = "/payment" }
        then = { group = "everyone" }
        [[workspace.rule]]
        name = "prices"
        when = { name = "page.title", prefix = "Prices" }
        then = { group = "everyone" }
        [[workspace.rule]]
        name = "tagged"
        when = { name = "page.tags", eq = "support" }
        then = { group = "everyone" }
        [[workspace.rule]]
        name = "habit"
        when = { name = "pages", ">=" = 5 }
        then = { group = "everyone" }
    "#,
    flip = [
        "workspace.rule.site.when = { name = \"site\", eq = \"other.example\" }",
        "workspace.rule.payment.when = { name = \"page.url\", contains = \"/help\" }",
        "workspace.rule.prices.when = { name = \"page.title\", prefix = \"Our\" }",
        "workspace.rule.tagged.when = { name = \"page.tags\", eq = \"sales\" }",
        "workspace.rule.habit.when = { name = \"pages\", \">=\" = 6 }",
    ],
    async |house| {
        let (_ana, _seat) = house.agent("ana", &[]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let matching = [
            ("site", ("site", "shop.example"), ("site", "shop.example.org")),
            (
                "payment",
                ("page.url", "https://shop.example/Payment?x=1"),
                ("page.url", "https://shop.example/pay"),
            ),
            ("prices", ("page.title", "prices and plans"), ("page.title", "Our prices")),
            ("tagged", ("page.tags", "billing, Support"), ("page.tags", "supported")),
            ("habit", ("pages", "5"), ("pages", "4")),
        ];
        for (whose, (rule, is, is_not)) in (1..).zip(matching) {
            let id = opens(&desk, whose, &[is]).await;
            for (name, verdict) in said(&watch, id).await {
                let expected = if name == rule { Verdict::Matched } else { Verdict::NotMatched };
                assert_eq!(verdict, expected, "{name} of {is:?}");
            }
            let id = opens(&desk, 100 + whose, &[is_not]).await;
            let said = said(&watch, id).await;
            assert!(said.iter().all(|(_, verdict)| *verdict == Verdict::NotMatched), "{is_not:?}: {said:?}");
        }
    }
);
