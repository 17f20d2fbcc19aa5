//! One run, from an empty floor to a report.

#[cfg(test)]
pub(crate) mod tests;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use maitred::{
    client::{Client, Options},
    protocol::{Encoding, reply::AgentPage, request::ListAgents, words::Role},
};
use tokio::time::sleep;

use crate::{
    floor::{Colleague, Floor, Standing},
    pump::{Pump, SharedFloor},
    report::{Circumstances, Report},
    scenario::{Disturbance, Moment, Scenario, Signal},
    spawn::Spawned,
    stalled::Stalled,
};

/// How often the run looks whether something has come to pass.
const LOOK: Duration = Duration::from_millis(5);

/// How long agents may take to be there.
const AGENTS_WITHIN: Duration = Duration::from_secs(30);

/// How often the daemon is asked for its time at the beginning.
const PINGS: u32 = 5;

/// What to run.
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) scenario: Scenario,
    pub(crate) seed: u64,
    pub(crate) encoding: Encoding,
}

/// Against which daemon.
pub(crate) enum Against {
    /// One that is there.
    Running(Options),
    /// One that is started for it; the path of its program if it isn't next to this one.
    Own(Option<PathBuf>),
}

/// Why there is no report: the daemon can't be reached, or not used.
pub(crate) async fn run(plan: &Plan, against: Against) -> Result<Report> {
    match against {
        Against::Running(options) => {
            if matches!(plan.scenario.disturbance, Some(Disturbance::Restart { .. })) {
                bail!("this scenario ends the daemon and starts it again: use --spawn");
            }
            let (colleagues, version) = team(&options, plan.scenario.team.agents).await?;
            play(plan, &options, &colleagues, None, Some(version)).await
        }
        Against::Own(daemon) => {
            let mut spawned = Spawned::start(&plan.scenario, daemon.as_deref()).await?;
            let (options, colleagues) = spawned.serving().furnish(&plan.scenario, plan.encoding).await?;
            let version = version(&options).await?;
            let report = play(plan, &options, &colleagues, Some(&mut spawned), Some(version)).await?;
            spawned.end().await?;
            Ok(report)
        }
    }
}

/// Plays the scenario against a daemon that knows the agents.
pub(crate) async fn play(
    plan: &Plan,
    options: &Options,
    colleagues: &[Colleague],
    mut spawned: Option<&mut Spawned>,
    version: Option<String>,
) -> Result<Report> {
    let floor = Floor::new(&plan.scenario, colleagues, options.encoding, plan.seed);
    let floor: SharedFloor = Rc::new(RefCell::new(floor));
    let pump = Pump::start(&floor, options).await?;
    settle_in(&floor).await?;

    let cpu_before = spawned.as_ref().and_then(|spawned| spawned.cpu());
    let stalled = match plan.scenario.disturbance {
        Some(Disturbance::Stall { connections }) => {
            let agents: Vec<_> = colleagues.iter().map(|colleague| colleague.id).collect();
            Some(Stalled::connect(options, &agents, connections).await?)
        }
        _ => None,
    };
    let began = Instant::now();
    floor.borrow_mut().open_doors(began);
    let ended = hours(plan, &floor, &pump, spawned.as_deref_mut(), began).await?;
    let cpu_of_the_dead = ended.as_ref().and_then(|ended| ended.cpu);
    floor.borrow_mut().close_doors();
    let seconds = began.elapsed().as_secs_f64();
    let (done, offered) = {
        let tally = &floor.borrow().tally;
        (tally.closed + tally.fallback + tally.abandoned, tally.offered)
    };
    let rss = spawned.as_ref().and_then(|spawned| spawned.rss());
    last_guests(plan, &floor, spawned.as_deref_mut()).await?;
    let cpu = match (cpu_of_the_dead, spawned.as_ref().and_then(|spawned| spawned.cpu())) {
        (None, after) => after.zip(cpu_before).map(|(after, before)| after.saturating_sub(before)),
        (Some(dead), after) => {
            after.zip(cpu_before).map(|(after, before)| (after + dead).saturating_sub(before))
        }
    };

    go_home(&floor, spawned.is_none()).await;
    let losses = pump.stop().await;
    let about = Circumstances {
        scenario: plan.name.clone(),
        seed: plan.seed,
        seconds,
        done,
        offered,
        cpu: cpu.map(|cpu| cpu.as_secs_f64() * 1e6),
        rss,
        version,
    };
    let (tally, audit) = {
        let mut floor = floor.borrow_mut();
        (std::mem::take(&mut floor.tally), std::mem::take(&mut floor.audit))
    };
    let (violations, mut remarks) = audit.finish();
    remarks.insert(0, plan.scenario.about.clone());
    remarks.extend(tally.refusals.iter().map(|(code, count)| format!("refused {count} times: {code}")));
    remarks.extend(ended.map(|ended| {
        let Ended { went, back, .. } = ended;
        format!("the daemon was gone after {went:.1?}, served again {back:.1?} after that")
    }));
    remarks.extend(stalled.map(|stalled| {
        let (cut, all) = stalled.cut();
        format!("{cut} of {all} who did not read were sent away")
    }));
    let mut lost: BTreeMap<String, usize> = BTreeMap::new();
    losses.into_iter().for_each(|why| *lost.entry(why).or_default() += 1);
    remarks.extend(lost.into_iter().map(|(why, count)| format!("connections lost, {count}: {why}")));
    Ok(Report::new(about, &tally, violations, remarks))
}

/// Until every agent is there and the clocks are compared.
async fn settle_in(floor: &SharedFloor) -> Result<()> {
    let began = Instant::now();
    while floor.borrow().agents_away() > 0 || floor.borrow().in_flight() > 0 {
        if began.elapsed() > AGENTS_WITHIN {
            let refusals = floor.borrow().tally.refusals.clone();
            bail!("the agents are not there after {AGENTS_WITHIN:?}; refusals: {refusals:?}");
        }
        sleep(LOOK).await;
    }
    for _ in 0..PINGS {
        floor.borrow_mut().ping(Instant::now());
        sleep(LOOK).await;
    }
    floor.borrow_mut().tally = crate::tally::Tally::default();
    Ok(())
}

/// A daemon that was ended in the middle.
struct Ended {
    /// Its processor time.
    cpu: Option<Duration>,
    /// How long it took to end.
    went: Duration,
    /// How long the next one took to serve.
    back: Duration,
}

/// The time during which visitors come, with what goes wrong in it.
async fn hours(
    plan: &Plan,
    floor: &SharedFloor,
    pump: &Pump,
    spawned: Option<&mut Spawned>,
    began: Instant,
) -> Result<Option<Ended>> {
    let duration = plan.scenario.duration.0;
    let mut ended = None;
    if let (Some(Disturbance::Restart { when, with, back_after }), Some(spawned)) =
        (plan.scenario.disturbance, spawned)
    {
        await_moment(floor, when, began, plan.scenario.settle.0).await?;
        let cpu = spawned.cpu();
        let now = Instant::now();
        match with {
            // Nothing tells a client that the other end is gone: it is as if all had noticed at once.
            Signal::Kill => {
                pump.cut();
                spawned.kill().await?;
            }
            Signal::Term => spawned.end().await?,
        }
        let went = now.elapsed();
        let now = Instant::now();
        spawned.start_again().await?;
        ended = Some(Ended { cpu, went, back: now.elapsed() });
        sleep(back_after.0).await;
        floor.borrow_mut().answer_offers();
        pump.resume();
    }
    sleep(duration.saturating_sub(began.elapsed())).await;
    Ok(ended)
}

async fn await_moment(floor: &SharedFloor, when: Moment, began: Instant, patience: Duration) -> Result<()> {
    match when {
        Moment::At(after) => sleep(after.0.saturating_sub(began.elapsed())).await,
        Moment::Standing { offered, waiting } => {
            let wanted = Standing { offered, waiting };
            loop {
                let standing = floor.borrow().standing();
                if standing == wanted {
                    break;
                }
                if began.elapsed() > patience {
                    bail!("{wanted:?} is wanted for the restart and never came; now {standing:?}");
                }
                sleep(LOOK).await;
            }
        }
    }
    Ok(())
}

/// Until everybody is done, or nothing has happened for as long as the scenario allows.
async fn last_guests(plan: &Plan, floor: &SharedFloor, mut spawned: Option<&mut Spawned>) -> Result<()> {
    loop {
        if floor.borrow().is_empty() || floor.borrow().quiet_for(Instant::now()) > plan.scenario.settle.0 {
            return Ok(());
        }
        if let Some(spawned) = spawned.as_mut()
            && spawned.has_ended()
        {
            bail!("the daemon has ended in the middle of the run{}", spawned.log());
        }
        sleep(LOOK).await;
    }
}

/// What is still on its way comes in; agents of a daemon that goes on are set to offline.
async fn go_home(floor: &SharedFloor, offline: bool) {
    if offline {
        floor.borrow_mut().agents_go_offline();
    }
    let began = Instant::now();
    while floor.borrow().in_flight() > 0 && began.elapsed() < Duration::from_secs(2) {
        sleep(LOOK).await;
    }
    // Notices have no answer to wait for.
    sleep(Duration::from_millis(100)).await;
    floor.borrow_mut().fire(Instant::now());
}

async fn version(options: &Options) -> Result<String> {
    let (client, _) = Client::connect(options).await?;
    let version = client.welcome().version.as_str().to_owned();
    client.close().await;
    Ok(version)
}

/// The agents of a daemon that is there, at most so many, and its version.
async fn team(options: &Options, agents: usize) -> Result<(Vec<Colleague>, String)> {
    let (client, _) = Client::connect(options).await?;
    let welcome = client.welcome().clone();
    if welcome.role != Role::Frontend {
        bail!("the token is of the role {:?}: a frontend's is needed, for visitors and agents", welcome.role);
    }
    let mut colleagues = Vec::new();
    let mut cursor = None;
    loop {
        let list = ListAgents { group: None, cursor: cursor.take(), limit: 100 };
        let page: AgentPage = client.ask(list).await.context("can't list the agents")?;
        colleagues.extend(page.rows.iter().map(|row| Colleague {
            id: row.agent,
            cap: row.cap,
            groups: row.groups.iter().cloned().collect(),
        }));
        cursor = page.cursor;
        if cursor.is_none() || colleagues.len() >= agents {
            break;
        }
    }
    client.close().await;
    if colleagues.is_empty() {
        bail!("the daemon has no agents: create some first");
    }
    if colleagues.len() < agents {
        eprintln!("the daemon has {} agents, the scenario would have {agents}", colleagues.len());
    }
    colleagues.truncate(agents);
    Ok((colleagues, welcome.version.as_str().to_owned()))
}
