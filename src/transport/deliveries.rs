//! What an admin asks of the notifications on their way: words in, words out.

use crate::{
    ids::WorkspaceId,
    notify::{Delivery, Kind, Order},
    protocol::{
        List, Reply, Request, Text,
        frame::PAGE_BUDGET,
        refusal::RefusalCode,
        reply::{DeliveryDetail, DeliveryPage, DeliveryRow, DeliveryWay, Done},
    },
    transport::translate,
};

/// The order that a request comes to; `None` if it is about something else. `answer` is called once, on another thread.
pub(super) fn order(
    workspace: WorkspaceId,
    request: Request,
    answer: impl FnOnce(Reply) + Send + 'static,
) -> Option<Order> {
    Some(match request {
        Request::ListDeliveries(list) => Order::List {
            workspace,
            dead: list.dead,
            after: list.after,
            limit: usize::from(list.limit.clamp(1, 100)),
            answer: Box::new(move |(rows, more)| {
                let rows = rows.iter().map(|(id, delivery)| row(*id, delivery, list.dead));
                let total = rows.len();
                let (rows, taken) = List::fill(rows, PAGE_BUDGET);
                let next = rows.last().map(|row| row.delivery).filter(|_| more || taken < total);
                answer(DeliveryPage { rows, next }.into());
            }),
        },
        Request::ShowDelivery(show) => Order::Show {
            workspace,
            id: show.delivery,
            answer: Box::new(move |found| match found {
                Some((delivery, dead)) => answer(detail(show.delivery, &delivery, dead).into()),
                None => answer(translate::no(RefusalCode::NotFound, None, None)),
            }),
        },
        Request::RetryDelivery(retry) => Order::Retry {
            workspace,
            id: retry.delivery,
            answer: Box::new(move |done| answer(done_or_not_found(done))),
        },
        Request::DropDelivery(drop) => Order::Drop {
            workspace,
            id: drop.delivery,
            answer: Box::new(move |done| answer(done_or_not_found(done))),
        },
        _ => return None,
    })
}

fn done_or_not_found(done: bool) -> Reply {
    if done { Done {}.into() } else { translate::no(RefusalCode::NotFound, None, None) }
}

fn row(id: u64, delivery: &Delivery, dead: bool) -> DeliveryRow {
    DeliveryRow {
        delivery: id,
        message: Text::clip(&delivery.message),
        topic: Text::clip(delivery.topic.as_str()),
        way: match delivery.kind {
            Kind::Webhook => DeliveryWay::Webhook,
            Kind::Mail => DeliveryWay::Mail,
        },
        endpoint: Text::clip(&delivery.endpoint),
        to: delivery.to.as_deref().map(Text::clip),
        conversation: delivery.conversation,
        queued_at: delivery.queued,
        due: (!dead).then_some(delivery.due),
        attempts: delivery.attempts,
        trouble: delivery.trouble.as_deref().map(Text::clip),
    }
}

fn detail(id: u64, delivery: &Delivery, dead: bool) -> DeliveryDetail {
    DeliveryDetail {
        row: row(id, delivery, dead),
        subject: delivery.subject.as_deref().map(Text::clip),
        body: Text::clip(&delivery.body),
    }
}
