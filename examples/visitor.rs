//! A visitor: opens a conversation with the words given, shows what comes back, and says every line of the input.
//!
//! ```sh
//! export MAITRED_ADDRESS=localhost:4433 MAITRED_CA=<fingerprint or PEM file> MAITRED_TOKEN=<a visitor's token>
//! cargo run --example visitor -- my parcel did not arrive
//! ```

use std::{env, error::Error};

use maitred::{
    client::{Client, Options, Told},
    protocol::{
        Notice, Variables,
        request::Open,
        words::{Feed, Speaker, Target},
    },
};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};
use uuid::Uuid;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [address, ca, token] = ["MAITRED_ADDRESS", "MAITRED_CA", "MAITRED_TOKEN"].map(env::var);
    let (client, mut notices) = Client::connect(&Options::new(address?, ca?.parse()?, token?)).await?;

    let words = env::args().skip(1).collect::<Vec<_>>().join(" ");
    let opened = client
        .open(Open {
            conversation: Uuid::now_v7().into(),
            speaker: Speaker::Me,
            channel: "web".parse()?,
            target: Target::Default,
            preferred: None,
            priority: 5,
            variables: Variables::default(),
            visitor: None,
            bot: None,
            message: (!words.is_empty()).then_some(words).map(TryInto::try_into).transpose()?,
        })
        .await?;
    let conversation = opened.conversation;
    client.subscribe(Feed::Conversation { conversation, after: 0 }).await?;

    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            told = notices.next() => match told {
                Some(Told::Notice(Notice::VisitorEvent(event))) => println!("{:?}", event.entry.change),
                Some(other) => println!("{other:?}"),
                None => return Err(client.ended().map_or("the end".into(), Into::into)),
            },
            line = lines.next_line() => match line? {
                Some(line) => _ = client.say(conversation, Speaker::Me, &line).await?,
                None => break,
            },
        }
    }
    client.close_conversation(conversation, Speaker::Me).await?;
    client.close().await;
    Ok(())
}
