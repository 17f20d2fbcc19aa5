//! Where tests may plant a fault in an actor. In a build without the feature `failpoints` these are nothing at all.

use crate::routing::{
    agent::Agent, conversation::Conversation, group::Group, recovery::Entry, workspace::Workspace,
};

#[cfg(feature = "failpoints")]
use crate::failpoints::{self, Site};

/// A machine that a fault can be planted in.
pub(super) trait Victim {
    /// What kind it is.
    #[cfg(feature = "failpoints")]
    const KIND: &'static str;

    /// Strikes here, if a fault is planted.
    #[cfg(feature = "failpoints")]
    fn strike(&self, site: Site, command: &dyn std::fmt::Debug);
}

#[cfg(feature = "failpoints")]
macro_rules! victims {
    ($($machine:ty, $kind:literal, |$it:ident| $id:expr;)*) => {$(
        impl Victim for $machine {
            const KIND: &'static str = $kind;
            fn strike(&self, site: Site, command: &dyn std::fmt::Debug) {
                let $it = self;
                failpoints::hit(site, Self::KIND, &$id, command);
            }
        }
    )*};
}

#[cfg(feature = "failpoints")]
victims! {
    Conversation, "conversation", |it| it.id();
    Agent, "agent", |it| it.id();
    Group, "group", |it| it.id();
    Workspace, "workspace", |_it| "";
}

#[cfg(not(feature = "failpoints"))]
impl Victim for Conversation {}
#[cfg(not(feature = "failpoints"))]
impl Victim for Agent {}
#[cfg(not(feature = "failpoints"))]
impl Victim for Group {}
#[cfg(not(feature = "failpoints"))]
impl Victim for Workspace {}

/// While the log is folded at a start.
#[inline(always)]
#[cfg_attr(not(feature = "failpoints"), expect(unused_variables, reason = "there is nothing here"))]
pub(super) fn in_fold(entry: &Entry) {
    #[cfg(feature = "failpoints")]
    if let Entry::Conversation { id, .. } = entry {
        failpoints::hit(Site::Fold, Conversation::KIND, id, &"");
    }
}

macro_rules! places {
    ($($(#[$doc:meta])* $name:ident => $site:ident;)*) => {$(
        $(#[$doc])*
        #[inline(always)]
        #[cfg_attr(not(feature = "failpoints"), expect(unused_variables, reason = "there is nothing here"))]
        pub(super) fn $name<M: Victim>(machine: &M, command: &dyn std::fmt::Debug) {
            #[cfg(feature = "failpoints")]
            machine.strike(Site::$site, command);
        }
    )*};
}

places! {
    /// In the machine's step.
    in_handler => Handler;
    /// After the step was recorded.
    after_record => Recorded;
    /// While it is rebuilt.
    in_rebuild => Rebuild;
    /// In what an actor does by itself.
    in_future => Future;
    /// Outside of every guard.
    outside_the_guard => Escape;
}
