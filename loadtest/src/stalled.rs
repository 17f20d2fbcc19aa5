//! Connections that stop reading: agents' other devices, whose windows are open and whose programs have hung up.

use anyhow::{Context as _, Result};
use maitred::{
    client::{Dialer, Options},
    ids::{AgentId, ClientId},
    protocol::{Request, request::Attach},
};

use crate::pump::{Joined, greet};

/// Bytes that such a connection takes before it is full.
const WINDOW: u32 = 4_096;

/// The number of the one request that each of them sends.
const FIRST: u32 = 1;

/// Those who do not read. They are there as long as this is kept.
pub(crate) struct Stalled(Vec<Joined>);

impl Stalled {
    /// Connects so many as sessions of these agents, in turn, and reads nothing more on any of them.
    ///
    /// # Errors
    /// One of them can't be connected.
    pub(crate) async fn connect(options: &Options, agents: &[AgentId], count: usize) -> Result<Self> {
        let dialer = Dialer::new()?;
        let mut all = Vec::with_capacity(count);
        for (agent, number) in agents.iter().cycle().zip(0..count) {
            let dialled = dialer.dial_narrow(options, WINDOW).await?;
            let mut id = [0x5a; 16];
            id[..8].copy_from_slice(&(number as u64).to_be_bytes());
            let mut joined = greet(dialled, options, ClientId::from_bytes(id)).await?;
            let attach: Request = Attach { agent: *agent }.into();
            let mut bytes = Vec::new();
            attach.encode(options.encoding, FIRST, &mut bytes).context("can't attach an agent")?;
            joined.send.write_all(&bytes).await?;
            all.push(joined);
        }
        Ok(Self(all))
    }

    /// How many of them the daemon has sent away, and how many there were.
    pub(crate) fn cut(&self) -> (usize, usize) {
        let cut = self.0.iter().filter(|joined| joined.connection.close_reason().is_some());
        (cut.count(), self.0.len())
    }
}
