//! Rules that reach outside: a webhook and a mail server that a rule's configuration names and its body looks at.

use std::cell::RefCell;

use maitred::{
    ids::AgentId,
    protocol::{
        Text,
        reply::{DeliveryPage, Done},
        request::{ListDeliveries, PutAgent},
    },
};

use crate::{
    floor::{patience, profile, workspace},
    house::House,
    outside::{MailServer, Webhooks},
};

thread_local! {
    static HOOKS: RefCell<Option<Webhooks>> = const { RefCell::new(None) };
    static POST: RefCell<Option<MailServer>> = const { RefCell::new(None) };
}

/// A webhook `out` that is told this, with a server of this run behind it.
pub(crate) fn webhook(event: &str) -> String {
    let server = Webhooks::start();
    let text = format!(
        "[[workspace.webhook]]\nname = \"out\"\nurl = \"{}\"\nevents = [\"{event}\"]\n",
        server.url()
    );
    HOOKS.set(Some(server));
    text
}

/// A mail rule `post` on this, with a mail server of this run behind it. `to`: as the configuration has it.
pub(crate) fn mail(event: &str, to: &str) -> String {
    let server = MailServer::start();
    let text = format!(
        "[server.mail]\nhost = \"localhost\"\nport = {}\nencryption = \"none\"\nfrom = \"desk@shop.example\"\n\
         [[workspace.mail]]\nname = \"post\"\non = [\"{event}\"]\nto = {to}\n",
        server.port()
    );
    POST.set(Some(server));
    text
}

/// The server behind [`webhook`].
pub(crate) fn hooks() -> Webhooks {
    HOOKS.take().expect("the rule's configuration has a webhook")
}

/// The server behind [`mail`].
pub(crate) fn post() -> MailServer {
    POST.take().expect("the rule's configuration has a mail rule")
}

/// An agent with an e-mail address, known and not connected.
pub(crate) async fn with_email(house: &House, name: &str, groups: &[&str]) -> AgentId {
    let agent = AgentId::derive(&workspace(), name);
    let email = Some(Text::clip(format!("{name}@shop.example")));
    let put = PutAgent { cap: None, email, ..profile(&house.admin, agent, name, groups, 1) };
    let _: Done = house.admin.ask(put).await.expect("put");
    agent
}

/// Waits until nothing is on its way any more.
pub(crate) async fn all_delivered(house: &House) {
    let until = async {
        loop {
            let list = ListDeliveries { dead: false, after: 0, limit: 1 };
            let page: DeliveryPage = house.admin.ask(list).await.expect("a page");
            if page.rows.is_empty() {
                return;
            }
        }
    };
    tokio::time::timeout(patience(), until).await.expect("everything is delivered");
}
