//! The admin HTTP server: what is counted, and whether the daemon lives and is ready.
//!
//! Holds: the routes, the server and its thread. Knows: [`Metrics`], [`Readiness`], HTTP.
//! Never: arbiters; it has a thread of its own, so that a scrape delays no conversation and a stuck arbiter no scrape.
//! Start reading at: [`router`], then [`Admin::start`].

use std::{fmt::Write, io, net::TcpListener, thread, time::Duration};

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use tokio::{sync::oneshot, time::MissedTickBehavior};

use super::{Metrics, REVISION, VERSION, words::Word};

mod readiness;
mod server;

pub use self::{
    readiness::{Readiness, Stage},
    server::serve,
};

/// How often recorded durations are taken out of their buffers; five million of them take a hundred megabytes.
const UPKEEP: Duration = Duration::from_secs(1);

/// The media type of Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone)]
struct Shown {
    metrics: Metrics,
    readiness: Readiness,
}

/// The routes of every daemon. The daemon may `merge` its own, such as `/api/v1/…`.
pub fn router(metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route("/metrics", get(show_metrics))
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/healthz", get(health))
        .route("/version", get(version))
        .fallback(nothing_here)
        .with_state(Shown { metrics, readiness })
}

async fn show_metrics(State(shown): State<Shown>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], shown.metrics.render())
}

/// Whether a restart would help. A daemon that starts or drains is alive: restarting it then would never end.
async fn live(State(shown): State<Shown>) -> Response {
    let stage = shown.readiness.stage();
    match stage {
        Stage::Failed { .. } | Stage::Stuck { .. } => {
            says(StatusCode::SERVICE_UNAVAILABLE, stage.to_string())
        }
        Stage::Starting { .. } | Stage::Ready | Stage::Draining { .. } => {
            says(StatusCode::OK, "ok".to_owned())
        }
    }
}

/// Whether to send work here.
async fn ready(State(shown): State<Shown>) -> Response {
    let stage = shown.readiness.stage();
    says(status(&stage), stage.to_string())
}

/// The same as `/readyz`; with `?verbose` a line for each thing that an operator would look at next.
async fn health(State(shown): State<Shown>, RawQuery(query): RawQuery) -> Response {
    let stage = shown.readiness.stage();
    let verbose =
        query.is_some_and(|query| query.split('&').any(|pair| pair.split('=').next() == Some("verbose")));
    let text = if verbose { checks(&shown.metrics, &stage) } else { stage.to_string() };
    says(status(&stage), text)
}

async fn version() -> impl IntoResponse {
    Json(json!({ "name": "maitred", "version": VERSION, "revision": REVISION }))
}

async fn nothing_here(uri: Uri) -> Response {
    let text =
        format!("nothing at {}: try /metrics, /livez, /readyz, /healthz?verbose or /version", uri.path());
    says(StatusCode::NOT_FOUND, text)
}

fn status(stage: &Stage) -> StatusCode {
    match stage {
        Stage::Ready => StatusCode::OK,
        Stage::Starting { .. } | Stage::Draining { .. } | Stage::Stuck { .. } | Stage::Failed { .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

fn checks(metrics: &Metrics, stage: &Stage) -> String {
    let mut text = String::new();
    let mut check = |good: bool, line: &str| {
        // Writing to a string can't fail.
        let _ = writeln!(text, "[{}] {line}", if good { '+' } else { '-' });
    };
    check(*stage == Stage::Ready, &stage.to_string());
    let reloaded = metrics.daemon.reload_successful.get() == 1;
    let newest = if reloaded { "in force" } else { "rejected, see the log; the one before stands" };
    check(reloaded, &format!("newest configuration {newest}"));
    let behind = metrics.journal.appended_position.get() - metrics.journal.durable_position.get();
    check(true, &format!("journal: {} records wait for the disk", behind.max(0)));
    for (kind, quarantined) in metrics.actors.quarantined.iter() {
        let count = quarantined.get();
        check(count == 0, &format!("quarantined, kind {}: {count}", kind.as_str()));
    }
    text
}

fn says(status: StatusCode, mut text: String) -> Response {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    // An answer about now must not come out of a cache.
    (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
}

/// The server's thread.
#[derive(Debug)]
pub struct Admin {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Admin {
    /// Serves `router` on `listener` and keeps `metrics` up, on a thread of its own.
    ///
    /// # Errors
    /// When the system gives no thread, or the listener can't be waited on.
    pub fn start(listener: TcpListener, router: Router, metrics: Metrics) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            // A dropped handle stops the server as well.
            let _ = stopped.await;
        };
        let run = move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = serve(listener, router, shutdown) => {}
                    () = keep_up(metrics) => {}
                }
            });
        };
        let thread = thread::Builder::new().name("admin".to_owned()).spawn(run)?;
        Ok(Self { stop, thread })
    }

    /// Ends the server and waits for the answers that are being written, at most five seconds.
    pub fn stop(self) {
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("the admin thread had panicked");
        }
    }
}

/// Never ends.
async fn keep_up(metrics: Metrics) {
    let mut tick = tokio::time::interval(UPKEEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        metrics.upkeep();
    }
}

#[cfg(test)]
mod tests;
