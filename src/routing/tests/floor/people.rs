//! What people do on the floor; each verb waits for its answer, but those that are posted.

use super::*;

impl Floor {
    /// Connects, and says that they want conversations.
    pub(in crate::routing::tests) fn comes_online(&mut self, name: &str) {
        self.connects(name);
        self.intends(name, Presence::Online);
    }

    pub(in crate::routing::tests) fn intends(&mut self, name: &str, presence: Presence) {
        let ticket = self.ticket(By::Agent(agent(name)), None);
        let command = agent::Command::SetPresence { presence, ticket: ticket.clone() };
        let answer = self.tells_and_waits(Tell::Agent(agent(name), command), &ticket);
        assert_eq!(answer, Ok(Reply::Done), "{name} could not say what they intend");
    }

    /// Says so without waiting.
    pub(in crate::routing::tests) fn posts_presence(&mut self, name: &str, presence: Presence) {
        let ticket = self.ticket(By::Agent(agent(name)), None);
        self.posts_tell(Tell::Agent(agent(name), agent::Command::SetPresence { presence, ticket }));
    }

    pub(in crate::routing::tests) fn intends_with_key(
        &mut self,
        name: &str,
        presence: Presence,
        counter: u64,
        digest: u32,
    ) -> Answer {
        let key = Key { client: ClientId::from_bytes([4; 16]), counter, digest };
        let ticket = self.ticket(By::Agent(agent(name)), Some(key));
        let command = agent::Command::SetPresence { presence, ticket: ticket.clone() };
        self.tells_and_waits(Tell::Agent(agent(name), command), &ticket)
    }

    pub(in crate::routing::tests) fn goes_offline(&mut self, name: &str) {
        self.intends(name, Presence::Offline);
    }

    pub(in crate::routing::tests) fn connects(&mut self, name: &str) {
        self.tells(Tell::Agent(agent(name), agent::Command::SessionOpened));
    }

    pub(in crate::routing::tests) fn all_connect<const N: usize>(&mut self, names: [&str; N]) {
        for name in names {
            self.connects(name);
        }
    }

    pub(in crate::routing::tests) fn disconnects(&mut self, name: &str) {
        self.tells(Tell::Agent(agent(name), agent::Command::SessionLost { later: Duration::ZERO }));
    }

    pub(in crate::routing::tests) fn visitor_is_present(&mut self, visit: Visit, present: bool) {
        self.tells(Tell::Conversation(visit.id, conversation::Command::VisitorPresent(present)));
    }
}

impl Floor {
    /// An opening by a visitor of their own.
    pub(in crate::routing::tests) fn opening(&mut self, target: Target) -> Opening {
        self.visits += 1;
        Opening {
            asked: made_at(self.now, self.visits),
            visitor: visitor(&format!("visitor {}", self.visits)),
            channel: "web".parse().expect("a name"),
            target,
            own_choice: true,
            preferred: None,
            priority: Priority::DEFAULT,
            variables: Vec::new(),
            placed: Vec::new(),
            origin: crate::routing::Origin::Visitor,
            bot: None,
            message: None,
            via: ClientId::from_bytes([9; 16]),
            digest: 1,
            lobby: None,
        }
    }

    /// Opens, as the connections do: a known id goes to its conversation, a new one to the workspace.
    pub(in crate::routing::tests) fn opens(&mut self, opening: &Opening) -> Answer {
        if self.world.conversations.contains_key(&opening.asked) {
            return self.retries(opening);
        }
        let ticket = self.ticket(By::Visitor(opening.visitor), None);
        let command = workspace::Command::Open { opening: Box::new(opening.clone()), ticket: ticket.clone() };
        self.tells_and_waits(Tell::Workspace(command), &ticket)
    }

    /// Opens with an id that was known at the door.
    pub(in crate::routing::tests) fn retries(&mut self, opening: &Opening) -> Answer {
        let ticket = self.ticket(By::Visitor(opening.visitor), None);
        let (boxed, way) = (Box::new(opening.clone()), Way::Known);
        let command = conversation::Command::Open { opening: boxed, ticket: ticket.clone(), way };
        self.tells_and_waits(Tell::Conversation(opening.asked, command), &ticket)
    }

    /// Opens without waiting, through the workspace.
    pub(in crate::routing::tests) fn posts_opening(&mut self, opening: &Opening) -> Request {
        let ticket = self.ticket(By::Visitor(opening.visitor), None);
        let request = Request(ticket.reply_to.expect("a way back").request);
        let command = workspace::Command::Open { opening: Box::new(opening.clone()), ticket };
        self.road.push_back(Tell::Workspace(command));
        request
    }

    /// A new visitor asks for a group.
    pub(in crate::routing::tests) fn visitor_arrives(&mut self, to: &str) -> Visit {
        self.visitor_arrives_with(to, |_| ())
    }

    /// The same, with wishes.
    pub(in crate::routing::tests) fn visitor_arrives_with(
        &mut self,
        to: &str,
        edit: impl FnOnce(&mut Opening),
    ) -> Visit {
        let mut opening = self.opening(Target::Group(group(to)));
        edit(&mut opening);
        let answer = self.opens(&opening);
        assert!(matches!(answer, Ok(Reply::Opened { .. })), "the opening was answered {answer:?}");
        Visit { id: opening.asked, visitor: opening.visitor }
    }

    /// A new visitor asks for one agent and nobody else.
    pub(in crate::routing::tests) fn visitor_asks_for(&mut self, name: &str) -> Visit {
        self.visitor_arrives_with("everyone", |opening| opening.target = Target::Agent(agent(name)))
    }

    pub(in crate::routing::tests) fn asks(&mut self, by: By, visit: Visit, ask: Ask) -> Answer {
        let request = self.posts(by, visit, ask);
        self.settle();
        self.answer_to(request)
    }

    /// Asks with a key: the client's counter and what the body hashes to.
    pub(in crate::routing::tests) fn asks_with_key(
        &mut self,
        by: By,
        visit: Visit,
        ask: Ask,
        counter: u64,
        digest: u32,
    ) -> Answer {
        let request = self.posts_with_key(by, visit, ask, counter, digest);
        self.settle();
        self.answer_to(request)
    }

    pub(in crate::routing::tests) fn posts_with_key(
        &mut self,
        by: By,
        visit: Visit,
        ask: Ask,
        counter: u64,
        digest: u32,
    ) -> Request {
        let key = Key { client: ClientId::from_bytes([4; 16]), counter, digest };
        self.posts_ticket(visit, ask, by, Some(key))
    }

    /// Asks without waiting: what is posted next arrives before this one is done.
    pub(in crate::routing::tests) fn posts(&mut self, by: By, visit: Visit, ask: Ask) -> Request {
        self.posts_ticket(visit, ask, by, None)
    }

    fn posts_ticket(&mut self, visit: Visit, ask: Ask, by: By, key: Option<Key>) -> Request {
        let ticket = self.ticket(by, key);
        let request = Request(ticket.reply_to.expect("a way back").request);
        self.road.push_back(Tell::Conversation(visit.id, conversation::Command::Ask { ask, ticket }));
        request
    }

    pub(in crate::routing::tests) fn answer_to(&self, request: Request) -> Answer {
        *self.answers.get(&request.0).expect("the command was never answered")
    }

    pub(in crate::routing::tests) fn accepts(&mut self, name: &str, visit: Visit) -> Answer {
        let offer = self.pending(name, visit).map_or(0, |pending| pending.offer);
        self.asks(By::Agent(agent(name)), visit, Ask::Accept { offer })
    }

    pub(in crate::routing::tests) fn declines(&mut self, name: &str, visit: Visit) -> Answer {
        let offer = self.pending(name, visit).map_or(0, |pending| pending.offer);
        self.asks(By::Agent(agent(name)), visit, Ask::Decline { offer })
    }

    pub(in crate::routing::tests) fn takes(&mut self, name: &str, visit: Visit) -> Answer {
        self.asks(By::Agent(agent(name)), visit, Ask::Take)
    }

    pub(in crate::routing::tests) fn closes(&mut self, name: &str, visit: Visit) -> Answer {
        self.asks(By::Agent(agent(name)), visit, Ask::Close)
    }

    pub(in crate::routing::tests) fn leaves(&mut self, name: &str, visit: Visit) -> Answer {
        self.asks(By::Agent(agent(name)), visit, Ask::Leave)
    }

    pub(in crate::routing::tests) fn hands(&mut self, name: &str, visit: Visit, to: Destination) -> Answer {
        self.asks(By::Agent(agent(name)), visit, Ask::Transfer { to, leave: true })
    }

    pub(in crate::routing::tests) fn visitor_says(&mut self, visit: Visit, words: &str) -> Answer {
        self.asks(By::Visitor(visit.visitor), visit, Ask::Say(text(words)))
    }

    pub(in crate::routing::tests) fn assigns(&mut self, visit: Visit, to: Destination) -> Answer {
        self.asks(By::Supervisor, visit, Ask::Assign { to, force: false })
    }

    /// A visitor arrives and this agent, who alone is offered it, accepts.
    pub(in crate::routing::tests) fn serves(&mut self, name: &str, to: &str) -> Visit {
        let visit = self.visitor_arrives(to);
        self.sees_offer(name, visit);
        self.accepts(name, visit).expect("accepted");
        visit
    }
}
