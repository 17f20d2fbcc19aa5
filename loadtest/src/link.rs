//! One frontend connection, seen from the load: what was asked on it and not answered, and what is to be sent.

use std::{collections::VecDeque, rc::Rc, time::Instant};

use maitred::{
    ids::{AgentId, ClientId, ConversationId, GroupId, VisitorId},
    protocol::{
        EncodeError, Encoding, Request, Text, Variables,
        request::{
            Accept, Announce, Attach, Close, Decline, Detach, History, Open, Ping, Say, SetPresence,
            Subscribe, Transfer,
        },
        words::{Destination, Feed, ListFilter, ListView, Presence, Speaker, Target},
    },
};
use tokio::sync::Notify;

use crate::audit;

/// Which conversation: its place among the visits, and a number that no other visit in that place has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VisitRef {
    pub(crate) at: usize,
    pub(crate) serial: u32,
}

/// One request, small enough to be kept until it is answered and to be made again after a lost connection.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// About which visit, if about one.
    pub(crate) visit: Option<VisitRef>,
    /// The conversation; all zeros if it is about none.
    pub(crate) conversation: ConversationId,
    /// What.
    pub(crate) what: What,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Open(VisitorId),
    Say {
        speaker: Speaker,
        number: u16,
        bytes: usize,
    },
    Accept {
        agent: AgentId,
        offer: u32,
    },
    Decline {
        agent: AgentId,
        offer: u32,
    },
    Close(Speaker),
    Transfer {
        agent: AgentId,
        to: Passing,
    },
    Announce {
        visitor: VisitorId,
        present: bool,
    },
    Subscribe {
        after: u64,
    },
    History {
        agent: AgentId,
        after: u64,
    },
    /// An agent begins a list anew.
    Keep {
        agent: AgentId,
        filter: usize,
    },
    /// An agent opens a conversation to read it.
    Look {
        agent: AgentId,
        at: Instant,
    },
    Attach(AgentId),
    Detach(AgentId),
    Presence(AgentId, Presence),
    Ping,
}

/// What agents look at, in turns.
pub(crate) const FILTERS: [ListFilter; 4] =
    [ListFilter::Mine, ListFilter::All, ListFilter::Unread, ListFilter::Unassigned];

/// To whom a conversation is passed on.
#[derive(Clone, Debug)]
pub(crate) enum Passing {
    Agent(AgentId),
    Group(GroupId),
}

/// A request that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) ask: Ask,
    pub(crate) key: u64,
    /// Place in the order of sending.
    sent: u64,
}

/// One frontend connection.
pub(crate) struct Link {
    /// Who this program is on this connection, over reconnects.
    pub(crate) client: ClientId,
    /// Bytes to be sent.
    pub(crate) out: Vec<u8>,
    /// Wakes the writer.
    pub(crate) filled: Rc<Notify>,
    /// Whether the daemon has welcomed it.
    pub(crate) up: bool,
    /// Most requests in flight, as the daemon said.
    pub(crate) limit: usize,
    encoding: Encoding,
    /// By request number less one.
    asked: Vec<Option<Asked>>,
    free: Vec<u32>,
    in_flight: usize,
    backlog: VecDeque<(Ask, u64)>,
    next_key: u64,
    next_sent: u64,
    body: String,
}

impl Link {
    pub(crate) fn new(client: ClientId, encoding: Encoding) -> Self {
        Self {
            client,
            out: Vec::new(),
            filled: Rc::default(),
            up: false,
            limit: 1,
            encoding,
            asked: Vec::new(),
            free: Vec::new(),
            in_flight: 0,
            backlog: VecDeque::new(),
            next_key: 1,
            next_sent: 0,
            body: String::new(),
        }
    }

    /// Sends a request under a new key, as soon as there is room.
    pub(crate) fn ask(&mut self, ask: Ask) {
        let key = self.next_key;
        self.next_key += 1;
        self.ask_again(ask, key);
    }

    /// Sends a request under the key that it had before.
    pub(crate) fn ask_again(&mut self, ask: Ask, key: u64) {
        if !self.up || self.in_flight >= self.limit {
            self.backlog.push_back((ask, key));
        } else {
            self.send(ask, key);
        }
    }

    fn send(&mut self, ask: Ask, key: u64) {
        let at = self.free.pop().unwrap_or_else(|| {
            self.asked.push(None);
            u32::try_from(self.asked.len() - 1).unwrap_or(u32::MAX)
        });
        self.in_flight += 1;
        self.next_sent += 1;
        let asked = Asked { ask, key, sent: self.next_sent };
        self.put(at + 1, &asked);
        self.asked[at as usize] = Some(asked);
    }

    fn put(&mut self, number: u32, asked: &Asked) {
        if self.out.is_empty() {
            self.filled.notify_one();
        }
        let request = asked.ask.request(asked.key, &mut self.body);
        let encoded: Result<(), EncodeError> = request.encode(self.encoding, number, &mut self.out);
        debug_assert!(encoded.is_ok(), "{request:?}: {encoded:?}");
    }

    /// The request that this number answers.
    pub(crate) fn answered(&mut self, number: u32) -> Option<Asked> {
        let at = number.checked_sub(1)?;
        let asked = self.asked.get_mut(at as usize)?.take()?;
        self.free.push(at);
        self.in_flight -= 1;
        self.send_backlog();
        Some(asked)
    }

    /// Requests that wait for their answer, or to be sent.
    pub(crate) fn unanswered(&self) -> usize {
        self.in_flight + self.backlog.len()
    }

    /// The connection is gone; what was not answered is kept. Returns whose opening was under way: it may have been taken or not.
    pub(crate) fn lost(&mut self) -> Vec<VisitRef> {
        self.up = false;
        self.out.clear();
        let openings = self.asked.iter().flatten().filter(|asked| matches!(asked.ask.what, What::Open(_)));
        openings.filter_map(|asked| asked.ask.visit).collect()
    }

    /// The connection is there: `first` is sent, then what was not answered, with the keys it had and in its order; never more at
    /// once than the daemon allows.
    pub(crate) fn welcomed(&mut self, limit: usize, first: Vec<Ask>) {
        self.up = true;
        self.limit = limit;
        let mut again: Vec<Asked> = std::mem::take(&mut self.asked).into_iter().flatten().collect();
        again.sort_unstable_by_key(|asked| asked.sent);
        self.free.clear();
        self.in_flight = 0;
        for asked in again.into_iter().rev() {
            self.backlog.push_front((asked.ask, asked.key));
        }
        for ask in first.into_iter().rev() {
            let key = self.next_key;
            self.next_key += 1;
            self.backlog.push_front((ask, key));
        }
        self.send_backlog();
    }

    fn send_backlog(&mut self) {
        while self.in_flight < self.limit
            && let Some((ask, key)) = self.backlog.pop_front()
        {
            self.send(ask, key);
        }
    }
}

impl Ask {
    /// A request that is about no conversation.
    pub(crate) fn plain(what: What) -> Self {
        Self { visit: None, conversation: ConversationId::from_bytes([0; 16]), what }
    }

    /// Whether its answer has to be waited for before the visit is over: it changes the conversation, or brings what was missed of it.
    pub(crate) fn is_awaited(&self) -> bool {
        self.visit.is_some()
            && !matches!(self.what, What::Announce { .. } | What::History { .. } | What::Look { .. })
    }

    fn request(&self, key: u64, body: &mut String) -> Request {
        let conversation = self.conversation;
        match &self.what {
            What::Open(visitor) => Open {
                conversation,
                speaker: Speaker::Visitor(*visitor),
                channel: crate::floor::channel(),
                target: Target::Default,
                preferred: None,
                priority: 5,
                variables: Variables::default(),
                message: None,
                visitor: None,
                bot: None,
            }
            .into(),
            What::Say { speaker, number, bytes } => {
                audit::body_of(conversation, *number, *bytes, body);
                Say { key, conversation, speaker: *speaker, body: Text::clip(&*body) }.into()
            }
            What::Accept { agent, offer } => {
                Accept { key, conversation, speaker: Speaker::Agent(*agent), offer: *offer }.into()
            }
            What::Decline { agent, offer } => {
                Decline { key, conversation, speaker: Speaker::Agent(*agent), offer: *offer }.into()
            }
            What::Close(speaker) => Close { key, conversation, speaker: *speaker }.into(),
            What::Transfer { agent, to } => {
                let to = match to {
                    Passing::Agent(agent) => Destination::Agent(*agent),
                    Passing::Group(group) => Destination::Group(group.clone()),
                };
                Transfer { key, conversation, speaker: Speaker::Agent(*agent), to, leave: true }.into()
            }
            What::Announce { visitor, present } => Announce { visitor: *visitor, present: *present }.into(),
            What::Subscribe { after } => {
                Subscribe { feed: Feed::Conversation { conversation, after: *after } }.into()
            }
            What::History { agent, after } => {
                History { conversation, speaker: Speaker::Agent(*agent), after: *after, limit: 200 }.into()
            }
            What::Keep { agent, filter } => {
                let filter = FILTERS[*filter % FILTERS.len()].clone();
                Subscribe { feed: Feed::List { agent: Some(*agent), view: ListView::Livechat, filter } }
                    .into()
            }
            What::Look { agent, .. } => {
                History { conversation, speaker: Speaker::Agent(*agent), after: 0, limit: 200 }.into()
            }
            What::Attach(agent) => Attach { agent: *agent }.into(),
            What::Detach(agent) => Detach { agent: *agent }.into(),
            What::Presence(agent, presence) => SetPresence { key, agent: *agent, presence: *presence }.into(),
            What::Ping => Ping {}.into(),
        }
    }
}
