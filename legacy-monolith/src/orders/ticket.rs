//! The ticket itself, as a picture.

use askama::Template;
use boxoffice_kit::Problem;

use super::Order;

#[derive(Template)]
#[template(path = "ticket.svg", escape = "html")]
struct Ticket<'a> {
    order: &'a Order,
    height: usize,
}

pub(super) fn draw(order: &Order) -> Result<String, Problem> {
    let ticket = Ticket { order, height: 80 + 28 * order.items.len() };
    ticket.render().map_err(|error| Problem::internal(&error))
}
