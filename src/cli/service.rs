//! What the service manager (systemd) is told, if there is one.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use sd_notify::NotifyState;

/// How long the daemon's own health page may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells the service manager, or nobody.
pub(super) fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// That it serves, and what shows in `systemctl status`.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// That a reload begins; `ready` ends it. The time lets `Type=notify-reload` tell reloads apart.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager could not be told of the reload"),
    }
}

/// That it is ending.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// How often the service manager wants to hear that all is well: half of what it tolerates.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|tolerated| tolerated / 2)
}

/// Says that all is well, if the daemon's own health page says so: it fails when an arbiter is stuck.
pub(super) fn pat_watchdog(admin: SocketAddr) {
    match is_alive(admin) {
        Ok(true) => tell(&[NotifyState::Watchdog]),
        Ok(false) => tracing::error!("the daemon is not well: the service manager is left to restart it"),
        Err(error) => tracing::error!(%error, "the daemon's health page does not answer"),
    }
}

fn is_alive(admin: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&admin, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    Ok(&start == b"HTTP/1.1 200")
}
