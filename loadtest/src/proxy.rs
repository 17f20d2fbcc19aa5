//! A liar between clients and daemon: speaks the protocol on both sides, and changes what the daemon said.

mod lies;

use std::{cell::RefCell, net::Ipv4Addr, path::Path, rc::Rc, sync::Arc, time::SystemTime};

use anyhow::{Context as _, Result};
use maitred::{
    client::{Ca, Dialer, Options},
    protocol::{Encoding, FrameDecoder},
    transport::tls,
};
use quinn::crypto::rustls::QuicServerConfig;
use tokio::task::{JoinHandle, spawn_local};

use self::lies::Liar;
pub(crate) use self::lies::Lie;

/// Bytes read at a time.
const CHUNK: usize = 1 << 16;

/// A proxy that runs until it is dropped.
pub(crate) struct Proxy {
    endpoint: quinn::Endpoint,
    accepting: JoinHandle<()>,
    liar: Rc<RefCell<Liar>>,
}

impl Proxy {
    /// Listens on a port of its own, with a certificate of its own, which is kept in `directory`. Must be called inside a
    /// `LocalSet`.
    ///
    /// # Errors
    /// It can't listen.
    pub(crate) fn start(daemon: &Options, directory: &Path, lie: Lie) -> Result<(Self, Options)> {
        let identity = tls::load_or_make(directory, SystemTime::now())?;
        let mut crypto = rustls::ServerConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(identity.chain, identity.key)?;
        crypto.alpn_protocols = vec![daemon.encoding.alpn().to_vec()];
        let config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(crypto)?));
        let endpoint = quinn::Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into())
            .context("the proxy can't listen")?;
        let address = endpoint.local_addr()?.to_string();
        let liar = Rc::new(RefCell::new(Liar::new(lie, daemon.encoding)));
        let (listening, daemon_options, lying) = (endpoint.clone(), daemon.clone(), Rc::clone(&liar));
        let accepting = spawn_local(async move {
            let Ok(dialer) = Dialer::new() else { return };
            while let Some(incoming) = listening.accept().await {
                let (dialer, options, liar) = (dialer.clone(), daemon_options.clone(), Rc::clone(&lying));
                spawn_local(async move {
                    // Whatever ends it, both sides see their connection end, and the run reports that.
                    let _ = between(incoming, &dialer, &options, &liar).await;
                });
            }
        });
        let options = Options { address, ca: Ca::Fingerprint(identity.fingerprint), ..daemon.clone() };
        Ok((Self { endpoint, accepting, liar }, options))
    }

    /// How often it has lied.
    pub(crate) fn lies(&self) -> u64 {
        self.liar.borrow().told
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.endpoint.close(0_u32.into(), b"bye");
    }
}

/// Carries one connection.
async fn between(
    incoming: quinn::Incoming,
    dialer: &Dialer,
    options: &Options,
    liar: &RefCell<Liar>,
) -> Result<()> {
    let client = incoming.await?;
    let (to_client, from_client) = client.accept_bi().await?;
    let daemon = dialer.dial_bare(options).await?;
    tokio::select! {
        done = faithfully(from_client, daemon.send) => done,
        done = lying(daemon.recv, to_client, options.encoding, liar) => done,
    }?;
    daemon.connection.close(0_u32.into(), b"bye");
    client.close(0_u32.into(), b"bye");
    Ok(())
}

async fn faithfully(mut from: quinn::RecvStream, mut to: quinn::SendStream) -> Result<()> {
    while let Some(chunk) = from.read_chunk(CHUNK, true).await? {
        to.write_all(&chunk.bytes).await?;
    }
    Ok(())
}

async fn lying(
    mut from: quinn::RecvStream,
    mut to: quinn::SendStream,
    encoding: Encoding,
    liar: &RefCell<Liar>,
) -> Result<()> {
    let mut decoder = FrameDecoder::new();
    let mut out = Vec::new();
    while let Some(chunk) = from.read_chunk(CHUNK, true).await? {
        decoder.feed(&chunk.bytes);
        {
            let mut liar = liar.borrow_mut();
            while let Some(frame) = decoder.next()? {
                liar.pass(frame, encoding, &mut out)?;
            }
        }
        to.write_all(&out).await?;
        out.clear();
    }
    Ok(())
}
