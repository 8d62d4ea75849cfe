//! The ticket of a paid order, to print.

use askama::Template;
use boxoffice_kit::Problem;

use crate::order::Order;

#[derive(Template)]
#[template(path = "ticket.svg", escape = "html")]
struct Picture<'a> {
    order: &'a Order,
    height: usize,
}

/// An SVG document.
pub(crate) fn of(order: &Order) -> Result<String, Problem> {
    let picture = Picture { order, height: 80 + 28 * order.items.len() };
    picture.render().map_err(|error| Problem::internal(&error))
}
