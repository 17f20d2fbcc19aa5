//! Serving HTTP/1 with a bound on everything that a client could hold: connections, slow heads, slow reading.

use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// What a client may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at once; further ones wait in the system's queue until one ends.
    pub(super) connections: usize,
    /// How long a client may take to send a request's head, and how long a connection may idle between two.
    pub(super) head: Duration,
    /// How long a connection may last before it is asked to end, so that none is held for ever by reading slowly.
    pub(super) lifetime: Duration,
    /// How long a connection that was asked to end may go on writing its answer.
    pub(super) grace: Duration,
}

/// Enough for every scraper, probe and dashboard of one daemon.
pub(super) const LIMITS: Limits = Limits {
    connections: 64,
    head: Duration::from_secs(10),
    lifetime: Duration::from_secs(60),
    grace: Duration::from_secs(5),
};

/// Largest head of a request, in bytes; hyper allows no less than this.
const HEAD_MAX: usize = 8 * 1024;

/// Pause after an accept failed, mostly because the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` until `shutdown` ends, then lets the answers in progress finish for a few seconds.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    serve_within(LIMITS, listener, router, shutdown).await;
}

pub(super) async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let (closing, closed) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, place) = tokio::select! {
            () = &mut shutdown => break,
            next = accept(&listener, &places) => match next {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(%error, "the admin server can't accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        while connections.try_join_next().is_some() {}
        connections.spawn(converse(limits, stream, router.clone(), closed.clone(), place));
    }
    drop(listener);
    closing.send_replace(true);
    while connections.join_next().await.is_some() {}
}

/// Takes a place first, so that a connection which can't be served stays in the system's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

async fn converse(
    limits: Limits,
    stream: TcpStream,
    router: Router,
    mut closed: watch::Receiver<bool>,
    place: OwnedSemaphorePermit,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    // Errors here are the client's: a broken connection or a head that is not HTTP. It has been answered if it could.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = async {
            tokio::select! {
                _ = closed.wait_for(|closed| *closed) => {}
                () = sleep(limits.lifetime) => {}
            }
        } => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(limits.grace, connection).await;
        }
    }
    drop(place);
}
