//! `reload` and `drain`: what signals do, for who can't send them, and with an answer.

use std::time::Duration;

use super::{block_on, failure::Failure, show, socket::Door};
use crate::{
    client::RequestError,
    protocol::{
        RefusalCode,
        reply::Done,
        request::{Drain, Reload},
    },
    transport::unix::SOCKET_FILE,
};

/// How often to look whether a draining daemon has ended. Nothing tells: it is another process.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// `reload`.
#[derive(Debug, clap::Args)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    door: Door,
}

/// `drain`.
#[derive(Debug, clap::Args)]
pub(super) struct DrainArgs {
    /// Do not wait until it has ended
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    door: Door,
}

pub(super) fn reload(args: &ReloadArgs) -> Result<(), Failure> {
    block_on(async {
        let (client, _) = args.door.connect().await?;
        match client.ask::<Done>(Reload {}).await {
            Ok(Done {}) => {}
            Err(RequestError::Refused(refused)) if refused.code == RefusalCode::Invalid => {
                return Err(Failure::Reload(refused.message.as_str().to_owned()));
            }
            Err(error) => return Err(error.into()),
        }
        show::line("the configuration was read again; the daemon's log names what waits for a restart")
    })
}

pub(super) fn drain(args: &DrainArgs) -> Result<(), Failure> {
    block_on(async {
        let (client, mut notices) = args.door.connect().await?;
        let _: Done = client.ask(Drain {}).await?;
        if args.no_wait {
            return show::line("the daemon drains");
        }
        // This connection is told to go like all others; the socket is the last to close.
        while notices.next().await.is_some() {}
        let path = args.door.data_dir()?.join(SOCKET_FILE);
        while !matches!(args.door.try_connect(&path).await, Ok(None)) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        show::line("the daemon has drained and ended")
    })
}
