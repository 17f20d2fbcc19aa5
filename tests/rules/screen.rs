//! A list and counts as a client keeps them: a snapshot, then what changes, and never a gap.

use std::collections::BTreeMap;

use maitred::{
    ids::{AgentId, ConversationId},
    protocol::{
        Notice,
        notice::{Counts, ListRow},
        words::{Feed, ListFilter, ListView},
    },
};

use crate::{floor::Seat, house::House};

/// One list on a screen.
pub(crate) struct Screen {
    agent: Option<AgentId>,
    view: ListView,
    filter: ListFilter,
    version: u64,
    /// Whether more pages of this version follow.
    pub(crate) more: bool,
    pub(crate) rows: BTreeMap<ConversationId, ListRow>,
}

impl Screen {
    /// Subscribes; `agent`: whose list, as the daemon names it.
    pub(crate) async fn keep(
        seat: &mut Seat,
        agent: Option<AgentId>,
        view: ListView,
        filter: ListFilter,
    ) -> Self {
        let feed = Feed::List { agent, view, filter: filter.clone() };
        seat.client.subscribe(feed).await.expect("subscribed");
        let mut screen = Self { agent, view, filter, version: 0, more: false, rows: BTreeMap::new() };
        screen.hear(seat).await;
        screen
    }

    /// The ids on it, in order.
    pub(crate) fn ids(&self) -> Vec<ConversationId> {
        self.rows.keys().copied().collect()
    }

    /// The version that it is at.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn row(&self, id: ConversationId) -> &ListRow {
        self.rows.get(&id).expect("it stands on the list")
    }

    /// Takes in the next thing that is told of it.
    async fn hear(&mut self, seat: &mut Seat) {
        let notice = seat.sees("news of a list", |notice| self.is_of(notice).then(|| notice.clone())).await;
        self.take(notice);
    }

    /// Whether something is told of this list.
    pub(crate) fn is_of(&self, notice: &Notice) -> bool {
        let own = (self.agent, self.view, &self.filter);
        match notice {
            Notice::ListItems(items) => (items.agent, items.view, &items.filter) == own,
            Notice::ListChanged(news) => (news.agent, news.view, &news.filter) == own,
            _ => false,
        }
    }

    /// Takes in something that is told of it.
    pub(crate) fn take(&mut self, notice: Notice) {
        match notice {
            Notice::ListItems(items) => {
                if !self.more {
                    self.rows.clear();
                }
                (self.version, self.more) = (items.version, items.more);
                self.rows.extend(items.rows.into_vec().into_iter().map(|row| (row.row.conversation, row)));
            }
            Notice::ListChanged(news) => {
                assert_eq!(news.version, self.version + u64::from(!self.more), "a gap");
                (self.version, self.more) = (news.version, news.more);
                news.gone.iter().for_each(|id| drop(self.rows.remove(id)));
                self.rows.extend(news.rows.into_vec().into_iter().map(|row| (row.row.conversation, row)));
            }
            _ => {}
        }
    }

    /// Waits until it is as wanted.
    pub(crate) async fn until(&mut self, seat: &mut Seat, fits: impl Fn(&Self) -> bool) {
        while !fits(self) {
            self.hear(seat).await;
        }
    }

    /// Waits until exactly these stand on it.
    pub(crate) async fn shows(&mut self, seat: &mut Seat, ids: &[ConversationId]) {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        self.until(seat, |screen| screen.ids() == ids).await;
    }
}

/// Lets the daemon tell what has changed on lists.
pub(crate) async fn tick(house: &House, seat: &Seat) {
    seat.client.ping().await.expect("a pong");
    house.wait(std::time::Duration::from_millis(250));
}

/// Waits until the counts are as wanted.
pub(crate) async fn counts(seat: &mut Seat, fits: impl Fn(&Counts) -> bool) -> Counts {
    let find = |notice: &Notice| match notice {
        Notice::Counts(counts) if fits(counts) => Some(*counts),
        _ => None,
    };
    seat.sees("counts", find).await
}
