//! The workspaces that are not drawn key by key: each of the five presets as the daemon would serve it, read by the real configuration,
//! with what its operator may have added in their own file. The judge has the additions in its own words, not the machines'.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use maitred::{
    clock::Timestamp,
    config,
    daemon::policies,
    ids::{AgentId, GroupId},
    routing::Policy,
};

use crate::rng::Rng;

/// When every simulated world begins: the first of January 2026, midnight UTC.
pub(crate) const DAWN: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// What a seed plays in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A workspace of which every key is drawn.
    Drawn,
    /// One of the presets.
    Preset(&'static str),
}

const PRESETS: [(&str, &str); 5] = [
    ("adobe", include_str!("../../config/presets/adobe.toml")),
    ("botnation", include_str!("../../config/presets/botnation.toml")),
    ("brevo", include_str!("../../config/presets/brevo.toml")),
    ("respond-io", include_str!("../../config/presets/respond-io.toml")),
    ("zendesk", include_str!("../../config/presets/zendesk.toml")),
];

impl Kind {
    /// Half of all seeds are drawn; the presets share the other half. `SIM_WORLD` names one for all.
    pub(crate) fn of(seed: u64) -> Self {
        let asked = std::env::var("SIM_WORLD").ok();
        let preset = |name: &str| PRESETS.iter().find(|(known, _)| *known == name);
        match asked.as_deref() {
            Some("drawn") => Self::Drawn,
            Some(name) => preset(name).map_or(Self::Drawn, |(name, _)| Self::Preset(name)),
            None => match usize::try_from(seed % 10) {
                Ok(number) if number < PRESETS.len() => Self::Preset(PRESETS[number].0),
                _ => Self::Drawn,
            },
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Drawn => "drawn",
            Self::Preset(name) => name,
        }
    }
}

/// What an operator has added to a preset, in the judge's words.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extras {
    pub(crate) rules: Vec<PlainRule>,
    /// When every group is open; `None`: always.
    pub(crate) hours: Option<PlainHours>,
    pub(crate) triggers: Vec<PlainTrigger>,
    /// What the reply watch of the preset does.
    pub(crate) watch: Option<PlainWatch>,
    /// Whether conversations may begin with a bot.
    pub(crate) bots: bool,
}

/// A rule: who comes from this country, or everybody, goes there.
#[derive(Debug, Clone)]
pub(crate) struct PlainRule {
    pub(crate) name: &'static str,
    pub(crate) country: Option<&'static str>,
    pub(crate) then: PlainTarget,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlainTarget {
    Group(GroupId),
    Agent(AgentId),
}

impl PlainTarget {
    /// The queue that it waits in, and the one agent it is for.
    pub(crate) fn queue(&self) -> (GroupId, Option<AgentId>) {
        match self {
            Self::Group(group) => (group.clone(), None),
            Self::Agent(agent) => (GroupId::everyone(), Some(*agent)),
        }
    }
}

/// Minutes of each day, in a place whose clocks never change.
#[derive(Debug, Clone)]
pub(crate) struct PlainHours {
    zone: &'static str,
    /// Minutes before UTC.
    offset: u64,
    open: Vec<(u64, u64)>,
}

/// Who comes to a page is led to a group, once in a visit.
#[derive(Debug, Clone)]
pub(crate) struct PlainTrigger {
    pub(crate) name: &'static str,
    pub(crate) page: &'static str,
    pub(crate) group: GroupId,
}

/// Who has not answered after this time loses the conversation to this group.
#[derive(Debug, Clone)]
pub(crate) struct PlainWatch {
    pub(crate) wait: Duration,
    pub(crate) group: GroupId,
}

const DAY: u64 = 24 * 60;

impl PlainHours {
    fn draw(rng: &mut Rng) -> Self {
        let zones = [("UTC", 0), ("Asia/Kolkata", 330), ("America/Argentina/Buenos_Aires", DAY - 180)];
        let (zone, offset) = rng.pick(&zones).copied().unwrap_or(zones[0]);
        let begin = offset;
        let mut open = Vec::new();
        let mut at = begin + if rng.chance(0.5) { 0 } else { rng.between(1, 5) };
        while open.len() < 12 && at < DAY {
            let end = (at + rng.between(1, 15)).min(DAY);
            open.push((at, end));
            at = end + rng.between(1, 8);
        }
        // Otherwise a long crash ends in a day without anything.
        if at < DAY {
            open.push((at, DAY));
        }
        if begin > 0 {
            open.push((0, begin - 1));
        }
        Self { zone, offset, open }
    }

    /// Whether somebody works at this moment.
    pub(crate) fn is_open(&self, at: Timestamp) -> bool {
        let minute = (at.micros() / 60_000_000 + self.offset) % DAY;
        self.open.iter().any(|(from, to)| (*from..*to).contains(&minute))
    }

    /// Whether it is open, or not, over all of this time up to a moment.
    pub(crate) fn has_been(&self, open: bool, at: Timestamp, since: Duration) -> bool {
        let seconds = 0..=since.as_secs();
        seconds.into_iter().all(|second| self.is_open(at - Duration::from_secs(second)) == open)
    }

    fn written(&self) -> String {
        let clock = |minute: u64| format!("{:02}:{:02}", minute / 60, minute % 60);
        let spans = self.open.iter().filter(|(from, to)| from < to);
        let spans: Vec<String> =
            spans.map(|(from, to)| format!("\"{}-{}\"", clock(*from), clock(*to))).collect();
        let spans = spans.join(", ");
        let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let days: Vec<String> = days.iter().map(|day| format!("{day} = [{spans}]")).collect();
        format!(
            "\n[workspace.hours.office]\ntimezone = \"{}\"\nweekly = {{ {} }}\n",
            self.zone,
            days.join(", ")
        )
    }
}

const COUNTRIES: [&str; 3] = ["FR", "DE", "US"];
const RULES: [&str; 3] = ["first", "second", "third"];
pub(crate) const PAGES: [&str; 3] = ["/prices", "/help", "/about"];
const TRIGGERS: [&str; 2] = ["prices", "help"];

/// A country that somebody may come from; `None`: nobody knows.
pub(crate) fn some_country(rng: &mut Rng) -> Option<&'static str> {
    if rng.chance(0.2) { None } else { rng.pick(&COUNTRIES).copied() }
}

/// A preset as it is served, with what an operator added; these agents are to come.
pub(crate) fn served(name: &str, rng: &mut Rng, agents: &[AgentId]) -> (Policy, Extras) {
    let text = PRESETS.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text);
    let groups = groups_of(text);
    let mut extras = Extras { bots: rng.chance(0.4), ..Extras::default() };
    if name == "respond-io" {
        let support = groups.first().cloned().unwrap_or_else(GroupId::everyone);
        extras.watch = Some(PlainWatch { wait: Duration::from_secs(15 * 60), group: support });
    }
    if rng.chance(0.4) {
        extras.hours = Some(PlainHours::draw(rng));
    }
    if rng.chance(0.4) {
        let count = usize::try_from(rng.between(1, 3)).unwrap_or(1);
        let mut rule = |name: &&'static str| {
            let then = match rng.pick(agents) {
                Some(agent) if rng.chance(0.3) => PlainTarget::Agent(*agent),
                _ => PlainTarget::Group(rng.pick(&groups).cloned().unwrap_or_else(GroupId::everyone)),
            };
            let country = if rng.chance(0.2) { None } else { rng.pick(&COUNTRIES).copied() };
            PlainRule { name, country, then }
        };
        extras.rules = RULES.iter().take(count).map(&mut rule).collect();
    }
    if rng.chance(0.4) {
        let trigger = |(name, page): (&&'static str, &&'static str)| PlainTrigger {
            name,
            page,
            group: groups.last().cloned().unwrap_or_else(GroupId::everyone),
        };
        extras.triggers = TRIGGERS.iter().zip(&PAGES).map(trigger).collect();
    }
    let text = with_extras(name, text, &extras, rng);
    let read = config::read_text("simulated.toml", &text);
    let config = read.unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    let found: BTreeMap<_, Policy> = policies(&config);
    let policy = found.into_iter().find(|(workspace, _)| workspace.as_str() == name);
    (policy.unwrap_or_else(|| panic!("the preset {name} has its workspace")).1, extras)
}

/// The names of the groups that a preset defines.
fn groups_of(text: &str) -> Vec<GroupId> {
    let sections = text.split("[[workspace.group]]").skip(1);
    let names = sections.filter_map(|section| section.split('"').nth(1));
    names.filter_map(|name| name.parse().ok()).collect()
}

/// The preset's own text, its workspace's keys and lists made longer.
fn with_extras(name: &str, text: &str, extras: &Extras, rng: &mut Rng) -> String {
    let mut keys = format!("name = \"{name}\"\n");
    if extras.hours.is_some() {
        let closed = ["queue", "overflow", "fallback"];
        let closed = rng.pick(&closed).copied().unwrap_or("queue");
        let _ = writeln!(keys, "open_hours = \"office\"\nwhen_closed = \"{closed}\"");
    }
    if rng.chance(0.3) && name != "adobe" {
        let _ = writeln!(keys, "lifetime_engagements = {}", rng.between(3, 40));
    }
    if extras.bots {
        let _ = writeln!(keys, "return_to_bot = {}", rng.chance(0.7));
        let _ = writeln!(keys, "bot_idle_close = \"{}s\"", rng.between(30, 900));
    }
    let mut text = text.replacen(&format!("name = \"{name}\"\n"), &keys, 1);
    if let Some(hours) = &extras.hours {
        text.push_str(&hours.written());
    }
    for rule in &extras.rules {
        let when = match rule.country {
            Some(country) => format!("{{ name = \"country\", eq = \"{country}\" }}"),
            None => "{ name = \"channel\", exists = true }".to_owned(),
        };
        let then = match &rule.then {
            PlainTarget::Group(group) => format!("{{ group = \"{group}\" }}"),
            PlainTarget::Agent(agent) => format!("{{ agent = \"{agent}\" }}"),
        };
        let name = rule.name;
        let _ = writeln!(text, "\n[[workspace.rule]]\nname = \"{name}\"\nwhen = {when}\nthen = {then}");
    }
    for trigger in &extras.triggers {
        let PlainTrigger { name, page, group } = trigger;
        let _ = writeln!(
            text,
            "\n[[workspace.trigger]]\nname = \"{name}\"\nactive = true\non = \"page\"\n\
             when = {{ name = \"page.url\", suffix = \"{page}\" }}\ngroup = \"{group}\""
        );
    }
    text
}
