//! Watches a group's line over the Unix socket: a row at every change.
//!
//! ```sh
//! cargo run --example watch_queue -- /var/lib/maitred/maitred.sock acme support
//! ```

use std::{env, error::Error, path::PathBuf};

use maitred::{
    client::{Client, Common, Told},
    protocol::{Notice, words::Feed},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [socket, workspace, group] = arguments.as_slice() else {
        return Err("usage: watch_queue SOCKET WORKSPACE GROUP".into());
    };
    let (socket, feed) = (PathBuf::from(socket), Feed::Group(group.parse()?));
    let (client, mut notices) =
        Client::connect_unix(&socket, Some(workspace.parse()?), &Common::default()).await?;
    client.subscribe(feed.clone()).await?;
    while let Some(told) = notices.next().await {
        match told {
            Told::Notice(Notice::GroupChanged(changed)) => println!("{:?}", changed.row),
            // The rows in between are lost, and the newest is all that matters here.
            Told::Missed(_) => _ = client.subscribe(feed.clone()).await?,
            Told::Notice(_) => {}
        }
    }
    Err(client.ended().map_or("the end".into(), Into::into))
}
