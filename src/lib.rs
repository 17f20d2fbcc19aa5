//! maitred, the maître d' of live chat: a routing daemon that stands behind a chat frontend and decides, for every
//! conversation, who answers it.

pub mod client;
pub mod clock;
pub mod codec;
pub mod ids;
pub mod protocol;
pub mod transport;
