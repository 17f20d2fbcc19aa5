//! What is to be done: to whom of the workspace each order goes.

use std::rc::Rc;

use super::Order;
use crate::{
    actors::{port::View, space::Space, tokens},
    clock::Timestamp,
    routing::{
        By, Tell, Ticket, agent,
        conversation::{self, Ask, Way},
        workspace::{self, Grants},
    },
};

impl Space {
    pub(super) fn order(self: &Rc<Self>, connection: u64, ticket: Ticket, order: Order) {
        match order {
            Order::Start(opening, agent) => self.start_conversation(opening, agent, ticket),
            Order::Open(mut opening) => {
                self.sessions.borrow_mut().welcome(connection, opening.visitor);
                let id = opening.asked;
                if self.knows(id) {
                    let way = Way::Known;
                    self.tell(Tell::Conversation(id, conversation::Command::Open { opening, ticket, way }));
                } else {
                    self.lead(&mut opening);
                    self.tell(Tell::Workspace(workspace::Command::Open { opening, ticket }));
                }
            }
            Order::Ask(id, ask) => {
                if let By::Visitor(visitor) = ticket.by {
                    self.sessions.borrow_mut().welcome(connection, visitor);
                }
                let tell = Tell::Conversation(id, conversation::Command::Ask { ask, ticket });
                if let Err(Tell::Conversation(conversation, conversation::Command::Ask { ask, ticket })) =
                    self.try_tell(tell)
                {
                    // Its opening may be right before this, with the workspace.
                    self.tell(Tell::Workspace(workspace::Command::Relay { conversation, ask, ticket }));
                }
            }
            Order::OpenTeam(opening) => {
                let id = opening.asked;
                self.tell(if self.knows(id) {
                    let parties = Vec::new();
                    Tell::Conversation(id, conversation::Command::OpenTeam { opening, parties, ticket })
                } else {
                    Tell::Workspace(workspace::Command::OpenTeam { opening, ticket })
                });
            }
            Order::AskOf(id, address, what) => {
                let ask = self.agent_by_address(&address).map_or(Ask::OfNobody, |agent| what.of(agent));
                self.order(connection, ticket, Order::Ask(id, ask));
            }
            Order::SetPresence(agent, presence) => {
                self.tell(Tell::Agent(agent, agent::Command::SetPresence { presence, ticket }));
            }
            Order::SetPush(agent, push) => {
                self.tell(Tell::Agent(agent, agent::Command::SetPush { push, ticket }));
            }
            Order::PutAgent(agent, profile) => {
                self.tell(Tell::Workspace(workspace::Command::PutAgent { agent, profile, ticket }));
            }
            Order::ChangeAgent(agent, change) => {
                self.tell(Tell::Workspace(workspace::Command::ChangeAgent { agent, change, ticket }));
            }
            Order::RemoveAgent(agent) => {
                self.tell(Tell::Workspace(workspace::Command::RemoveAgent { agent, ticket }));
            }
            Order::ReportFailure(failure) => {
                self.tell(Tell::Workspace(workspace::Command::ReportFailure { failure, ticket }));
            }
            Order::Reinstate(subject) => self.reinstate(subject, ticket),
            Order::MintToken(grants, expires) => self.mint(grants, expires, ticket),
            Order::RevokeToken(id) => {
                self.tell(Tell::Workspace(workspace::Command::RevokeToken { id, ticket }))
            }
            Order::Erase(doomed, confirm) => self.erase(&ticket, doomed, confirm.as_deref()),
        }
    }

    fn mint(self: &Rc<Self>, grants: Grants, expires: Option<Timestamp>, ticket: Ticket) {
        let (token, text) = tokens::mint(grants, self.local.now(), expires);
        if let Some(reply_to) = ticket.reply_to {
            self.will_mint(reply_to, View::Minted { text, id: token.id.clone(), expires });
        }
        self.tell(Tell::Workspace(workspace::Command::MintToken { token, ticket }));
    }
}
