//! Lists come in pages; verbs show them whole.

use std::future::Future;

use super::failure::Failure;
use crate::{
    client::RequestError,
    protocol::{Text, words::PAGE},
};

/// Asks for page after page until the end, or until there are so many rows.
pub(super) async fn all<R, F>(
    at_most: usize,
    mut ask: impl FnMut(Option<Text<128>>, u16) -> F,
) -> Result<Vec<R>, Failure>
where
    F: Future<Output = Result<(Vec<R>, Option<Text<128>>), RequestError>>,
{
    let mut rows = Vec::new();
    let mut cursor = None;
    while rows.len() < at_most {
        let wanted = (at_most - rows.len()).min(PAGE);
        let (page, next) = ask(cursor, u16::try_from(wanted).unwrap_or(u16::MAX)).await?;
        rows.extend(page);
        match next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    rows.truncate(at_most);
    Ok(rows)
}
