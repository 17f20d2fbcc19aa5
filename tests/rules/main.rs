//! The rules of docs/rules.md, each as a test that carries its number, against a real daemon over real QUIC.
//!
//! # How to write one
//!
//! ```text
//! rule!(br_13_saved_but_not_activated,
//!     preset = "brevo",
//!     with = r#"
//!         [[workspace.trigger]]
//!         name = "french"
//!         active = false
//!     "#,
//!     flip = "workspace.trigger.french.active = true",
//!     async |house| {
//!         let (ana, mut ana_seat) = house.agent("ana", &["support"]).await;
//!         …
//!         assert_eq!(…);
//!     }
//! );
//! ```
//!
//! makes two tests:
//!
//! - `br_13_saved_but_not_activated::holds` runs the body against a daemon with the preset and `with` laid over it;
//! - `br_13_saved_but_not_activated::flipped` runs the same body with the flipped value too, and **fails unless the body
//!   fails**. This is what shows that the rule rests on the key and that the test looks at the rule. The flipped
//!   configuration itself has to be a good one: a daemon that refuses it fails the test.
//!
//! Run both with `cargo test --test rules br_13`. Then add the rule's row to `docs/rules.md` (`map.rs` checks it).
//!
//! **A name** is the product, the number, and the rule in a few words: `br_`, `zd_`, `ad_`, `re_` or `bo_`, in the
//! product's file. A rule with several sides may have several tests; `docs/rules.md` names one or more.
//!
//! **`preset`** is one of `config/presets/`. Everything that the product needs belongs *there*: `with` only has what is
//! particular to the test (a trigger that is saved and not activated, a group that is disabled). If your rule needs a new
//! key, set it in the preset, with the rule's number in its comment.
//!
//! **`with`** is TOML that is laid over the preset, key by key. The preset's one workspace is meant by `[workspace]` (a
//! plain table, or the head of `[[workspace.group]]`); lists of tables are matched by `name`, and what is new is added:
//!
//! ```toml
//! [workspace]
//! seats = 2
//! [[workspace.group]]     # changes the preset's group `support`, and leaves the others alone
//! name = "support"
//! enabled = false
//! ```
//!
//! `with = ""` if there is nothing. In every test the workspace is called `test`, and visitors may open 1000 conversations.
//!
//! **`flip`** is one or more lines `path = value`. A path is keys with dots between; in a list, an element's number or its
//! `name`: `workspace.group.support.enabled = true`, `defaults.invite_uses_slot = true`, `workspace.rule.0.to = "sales"`.
//! `workspace` alone is the one workspace. A line `!path` takes the key (or list element) away. Choose the value that the
//! rule rests on, and flip it to one that is meant to break it. Several ways to break it, each of which must:
//! `flip = ["…", "…"]`. That the body fails shows that the rule rests on the key; what happens *instead* is shown by a body of its
//! own, after the main one, which passes with the flip and fails without it:
//!
//! ```text
//!     flip = [],
//!     async |house| { … },
//!     opposite = [("workspace.trigger.french.active = true", async |house| { … })]
//! ```
//!
//! Write one wherever the main body could fail for another reason than the rule. A rule that no value can break (images can't be switched off: ZD-3) says so:
//! `flip = none("the rule is that there is no such value")`, and has no test `flipped`.
//!
//! **The body** gets `house: &mut House`: the daemon, its clock and what connects to it.
//!
//! | | |
//! |---|---|
//! | `house.agent("ana", &["support"]).await` | an agent, known, connected and online, with the preset's cap: `(AgentId, Seat)` |
//! | `house.desk().await` | a frontend's connection |
//! | `house.watch().await` | a supervisor's connection |
//! | `house.visitor(7).await` | a visitor's own connection |
//! | `house.wait(seconds(45))` | moves the clock on; nothing else does |
//! | `house.new_id()` | a conversation id of the house's time, for tests that move it by more than a day |
//! | `house.change("defaults.seats = 9")` | edits the configuration as `flip` does, and reloads it; fails unless it is taken over |
//! | `house.reload("…")` | the same, and what the daemon says if it doesn't take it over |
//! | `house.metric("offers_total", "group=\"sales\"").await` | what a series of the workspace is at |
//! | `house.restart(seconds(3)).await` | ends the daemon in order and starts it again on its directory |
//! | `house.floor` | everything else (`tests/daemon/floor.rs`): `put`, `hire`, `session`, `token`, `admin`, `crash_image` … |
//!
//! and `Seat` has what a connection can do: `seat.client` (all requests), `seat.sees(…)` and its kin (wait for a notice;
//! those not looked for stay for later), `seat.drain()` (everything that came up to now: for "nothing came").
//!
//! **Waiting.** Never sleep. For what must come: `sees…`, which gives up after 20 s (2 s in a flipped run, where much never
//! comes). For what must *not* come: do something whose answer can only arrive after it (`drain` pings), then look. For a
//! deadline: `house.wait(just short of it)`, `drain`, look, `house.wait(the rest)`, `sees`.
//!
//! **Make it able to fail.** Assert what the acceptance line says, both halves: A was offered *and* B was not. A body whose
//! flipped run passes is told so; a body that can't be flipped because it looks at something else is a bad test.
//!
//! **Cheap.** A daemon starts for each run: open one, play the rule, end. Don't loop over configurations in a body; where a
//! rule is a truth table, put the cells into groups of one configuration.

mod adobe;
mod adobe_offers;
mod botnation;
mod bots;
mod brevo;
mod brevo_lobby;
mod consoles;
mod crowded;
#[allow(dead_code, unused_imports, unused_macros, reason = "shared with tests/daemon, which uses the rest")]
#[path = "../daemon/floor.rs"]
mod floor;
mod house;
mod map;
#[path = "../outside/mod.rs"]
mod outside;
mod outward;
#[allow(dead_code, reason = "shared with tests/daemon, which uses the rest")]
#[path = "../daemon/raw.rs"]
mod raw;
mod respond_io;
mod respond_io_flow;
mod respond_io_steps;
mod routing;
mod scenes;
mod screen;
mod zendesk;
mod zendesk_lobby;
mod zendesk_team;
mod zendesk_transfers;
