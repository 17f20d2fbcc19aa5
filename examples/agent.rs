//! An agent who takes every offer, repeats what visitors say, and comes back when the connection is lost (with the
//! same options, so that the keys of its commands go on counting).
//!
//! ```sh
//! export MAITRED_ADDRESS=localhost:4433 MAITRED_CA=<fingerprint or PEM file> MAITRED_TOKEN=<an agent's token>
//! cargo run --example agent
//! ```

use std::{env, error::Error};

use maitred::{
    client::{Client, Comeback, Ended, Notices, Options, Told},
    protocol::Notice,
    protocol::notice::{StaffChange, StaffEvent},
    protocol::words::{Actor, Feed, Presence, Speaker},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [address, ca, token] = ["MAITRED_ADDRESS", "MAITRED_CA", "MAITRED_TOKEN"].map(env::var);
    let mut comeback = Comeback::new(Options::new(address?, ca?.parse()?, token?))?;
    loop {
        let (client, notices) = comeback.connect().await?;
        serve(&client, notices).await?;
        match client.ended() {
            Some(Ended::Here) => return Ok(()),
            ended => comeback.lost(ended),
        }
    }
}

async fn serve(client: &Client, mut notices: Notices) -> Result<(), Box<dyn Error>> {
    let me = client.welcome().agent.ok_or("this is not an agent's token")?;
    client.set_presence(me, Presence::Online).await?;
    while let Some(told) = notices.next().await {
        match told {
            Told::Notice(Notice::OfferMade(offer)) => {
                let conversation = offer.conversation;
                match client.accept(conversation, Speaker::Me, offer.offer).await {
                    Ok(_) => _ = client.subscribe(Feed::Conversation { conversation, after: 0 }).await?,
                    Err(refused) => println!("{conversation}: {refused}"),
                }
            }
            Told::Notice(Notice::StaffEvent(StaffEvent { conversation, entry, .. })) => match entry.event {
                StaffChange::Said { body } if matches!(entry.by, Actor::Visitor { .. }) => {
                    client.say(conversation, Speaker::Me, &format!("You said: {}", body.as_str())).await.ok();
                }
                change => println!("{conversation}: {change:?}"),
            },
            other => println!("{other:?}"),
        }
    }
    Ok(())
}
