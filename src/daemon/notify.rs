//! From what the operator wrote to what the notifier goes by, and the notifier's threads beside the rest.

use std::{collections::BTreeMap, env, fs, ops::ControlFlow, path::Path, sync::Arc};

use smol_str::SmolStr;

use crate::{
    actors::{boot::Recovered, local::Shared},
    config::{self, Config},
    journal::{self, Disk, Position},
    metrics::{DeliveryKind, DeliveryOutcome, Metrics},
    notify::{
        self, Absent, Addressees, Known, MailRule, MailServer, Notifier, Patience, Rules, Secret, Told,
        Webhook,
    },
};

/// Starts the notifier beside the arbiters, before the archivist: it says how far the log is still needed.
pub(super) fn start(
    config: &Config,
    disk: &Arc<dyn Disk>,
    shared: &Shared,
) -> Result<Notifier, super::Error> {
    let rules = rules(config).map_err(|error| super::Error::Config(error.to_string()))?;
    let (archive, journal) = (shared.archive.clone(), shared.journal.clone());
    let seed = move |until| seed(&archive, &journal, until);
    let attendance = Arc::clone(&shared.attendance);
    let outlook = notify::Outlook {
        seed: Box::new(seed),
        here: Box::new(move |workspace, agent| attendance.has(workspace, agent)),
    };
    let options = notify::Options {
        journal: shared.journal.clone(),
        disk: Arc::clone(disk),
        clock: shared.clock.clone(),
        rules,
        outlook,
        count: count(&shared.metrics),
    };
    let started = Notifier::start(options).map_err(|error| super::Error::Log(error.to_string()))?;
    let (pending, shown) = (started.pending(), Arc::clone(&shared.metrics.notify));
    shared
        .metrics
        .before_render(move || shown.pending.set(pending.load(std::sync::atomic::Ordering::Relaxed)));
    Ok(started)
}

/// What the archive and the log behind it come to, up to a position.
fn seed(
    archive: &journal::Archive,
    log: &journal::Journal,
    until: Position,
) -> Result<Known, journal::Error> {
    let mut recovered = Recovered::from_archive(archive)?;
    let from = Position::new(archive.covered().get().min(until.get()) + 1);
    log.walk(from, until, &mut |record| {
        recovered.take_in(record);
        ControlFlow::Continue(())
    })?;
    let mut known = Known::default();
    for (workspace, remembered) in &recovered.spaces {
        known.learn(workspace, &remembered.world);
    }
    Ok(known)
}

fn count(metrics: &Metrics) -> notify::Count {
    let counted = Arc::clone(&metrics.notify);
    Arc::new(move |kind, outcome, took| {
        let kind = match kind {
            notify::Kind::Webhook => DeliveryKind::Webhook,
            notify::Kind::Mail => DeliveryKind::Mail,
        };
        let outcome = match outcome {
            notify::Outcome::Delivered => DeliveryOutcome::Delivered,
            notify::Outcome::Retried => DeliveryOutcome::Retried,
            notify::Outcome::Dead => DeliveryOutcome::Dead,
            notify::Outcome::Disabled => DeliveryOutcome::Disabled,
            notify::Outcome::Dropped => DeliveryOutcome::Dropped,
        };
        counted.deliveries.of(kind).of(outcome).increment(1);
        if let Some(took) = took {
            counted.delivery.of(kind).record(took);
        }
    })
}

/// Everything that the operator says about notifications, with certificates, passwords and secrets read.
///
/// # Errors
/// What can't be read or used.
pub fn rules(config: &Config) -> Result<Rules, notify::Error> {
    let mut workspaces = BTreeMap::new();
    for workspace in &config.workspaces {
        if workspace.webhooks.is_empty() && workspace.mails.is_empty() {
            continue;
        }
        let webhooks = workspace.webhooks.iter().map(webhook).collect::<Result<_, _>>()?;
        let told = Told {
            webhooks,
            mails: workspace.mails.iter().map(mail_rule).collect(),
            absent: match workspace.settings.tell_absent {
                config::Absent::Nobody => Absent::Nobody,
                config::Absent::Available => Absent::Available,
                config::Absent::Members => Absent::Members,
            },
            unasked: workspace.settings.push == config::Push::OptOut,
            inbox: workspace.settings.inbox_url.clone(),
        };
        workspaces.insert(workspace.name.clone(), told);
    }
    let deliveries = &config.deliveries;
    let patience = Patience {
        timeout: deliveries.timeout,
        first: deliveries.retry_first,
        longest: deliveries.retry_longest,
        give_up: deliveries.give_up_after,
        waiting_max: deliveries.queue_max as usize,
        waiting_bytes: usize::try_from(deliveries.queue_bytes).unwrap_or(usize::MAX),
        dead_max: deliveries.dead_max as usize,
    };
    Ok(Rules { workspaces, mail: mail_server(&config.server.mail)?, patience })
}

fn webhook(said: &config::Webhook) -> Result<Webhook, notify::Error> {
    let wrong = |what: String| notify::Error::Webhook { name: said.name.to_string(), what };
    let secret = match (&said.secret_file, &said.secret_variable) {
        (Some(file), _) => Some(Secret::parse(&file.display().to_string(), &text(file).map_err(wrong)?)?),
        (None, Some(variable)) => {
            let value =
                env::var(variable).map_err(|_| wrong(format!("the variable {variable} is not set")))?;
            Some(Secret::parse(variable, &value)?)
        }
        (None, None) => None,
    };
    let roots = said.ca_file.as_deref().map(text).transpose().map_err(wrong)?;
    Webhook::new(notify::WebhookSpec {
        name: said.name.clone(),
        url: said.url.clone(),
        secret,
        topics: said.events.iter().map(|topic| self::topic(*topic)).collect(),
        roots: roots.map(String::into_bytes),
        allow_http: said.allow_http,
        allow_private: said.allow_private,
        concurrency: said.concurrency,
    })
}

fn mail_rule(said: &config::MailRule) -> MailRule {
    let to = match &said.to {
        config::Addressees::Agent => Addressees::Agent,
        config::Addressees::Group => Addressees::Group,
        config::Addressees::These(all) => Addressees::These(all.iter().map(SmolStr::new).collect()),
    };
    MailRule {
        name: said.name.clone(),
        topics: said.on.iter().map(|topic| self::topic(*topic)).collect(),
        to,
    }
}

fn mail_server(said: &config::MailServer) -> Result<Option<MailServer>, notify::Error> {
    let Some(host) = &said.host else { return Ok(None) };
    let password = said.password_file.as_deref().map(text).transpose().map_err(notify::Error::Mail)?;
    let login = match (&said.username, password) {
        (Some(name), Some(password)) => {
            Some((name.clone(), password.trim_end_matches(['\r', '\n']).to_owned()))
        }
        (None, None) => None,
        _ => return Err(notify::Error::Mail("username and password_file go together".to_owned())),
    };
    let roots = said.ca_file.as_deref().map(text).transpose().map_err(notify::Error::Mail)?;
    let server = MailServer::new(notify::MailSpec {
        host,
        port: said.port.and_then(|port| u16::try_from(port).ok()),
        encryption: match said.encryption {
            config::Encryption::None => notify::Encryption::None,
            config::Encryption::Tls => notify::Encryption::Tls,
            config::Encryption::StartTls => notify::Encryption::StartTls,
        },
        roots: roots.as_deref().map(str::as_bytes),
        from: &said.from,
        login,
    })?;
    Ok(Some(server))
}

/// The same words stand in both rooms, as neither knows the other.
fn topic(topic: config::Topic) -> notify::Topic {
    match topic {
        config::Topic::Queued => notify::Topic::Queued,
        config::Topic::Offered => notify::Topic::Offered,
        config::Topic::Assigned => notify::Topic::Assigned,
        config::Topic::Fallback => notify::Topic::Fallback,
        config::Topic::Missed => notify::Topic::Missed,
        config::Topic::Closed => notify::Topic::Closed,
        config::Topic::Reopened => notify::Topic::Reopened,
        config::Topic::OfferMissed => notify::Topic::OfferMissed,
        config::Topic::AgentNotified => notify::Topic::AgentNotified,
        config::Topic::ActionFailed => notify::Topic::ActionFailed,
        config::Topic::HandedOver => notify::Topic::HandedOver,
    }
}

fn text(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{} can't be read: {error}", file.display()))
}
