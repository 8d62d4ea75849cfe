//! Puts the modules together.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use axum::Router;
use boxoffice_kit::{
    Database,
    identity::Signer,
    inbox::Inbox,
    service::{Events, Failure, Kit, client},
    writer::{Owned, State},
};
use clap::Args;
use jiff::SignedDuration;
use reqwest::Url;
use tokio_util::sync::CancellationToken;

use crate::{
    cart, catalog,
    events::Listener,
    expiration,
    inventory::{self, Inventory},
    notifications, operations,
    orders::{self, Orders},
    payments, reports,
    seam::Seam,
    users::{self, Users},
    web,
};

/// The name in answers and metrics.
pub const NAME: &str = "boxoffice-monolith";

/// The modules that can be taken out.
static OWNED: [Owned; 7] = [
    users::OWNED,
    catalog::OWNED,
    inventory::OWNED,
    orders::OWNED,
    payments::OWNED,
    notifications::OWNED,
    expiration::OWNED,
];
/// How long an unpaid order holds its tickets.
const PAY_WITHIN: SignedDuration = SignedDuration::from_mins(15);

/// What may differ between two runs. The addresses say where a module lives once it is taken out.
#[derive(Args, Clone, Debug, Default)]
pub struct Settings {
    /// The own address written into redirects, as `http://shop.example`; the request's Host when absent
    #[arg(long, env = "BOXOFFICE_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// The domain of session cookies; the own host when absent
    #[arg(long, env = "BOXOFFICE_COOKIE_DOMAIN")]
    pub cookie_domain: Option<String>,
    /// How long an unpaid order holds its tickets, as `20s`; 15 minutes when absent
    #[arg(long, env = "PAY_WITHIN")]
    pub pay_within: Option<SignedDuration>,
    /// The folder that stands in for a mail server: a file for each notification; when absent they are only marked as sent
    #[arg(long, env = "MAIL")]
    pub mail: Option<PathBuf>,
    /// What the payment provider signs its calls with; `demo-secret` when absent
    #[arg(long, env = "WEBHOOK_SECRET", hide_env_values = true)]
    pub webhook_secret: Option<String>,
    /// The users service
    #[arg(long, env = "USERS_URL")]
    pub users_url: Option<Url>,
    /// The catalog service
    #[arg(long, env = "CATALOG_URL")]
    pub catalog_url: Option<Url>,
    /// The inventory service
    #[arg(long, env = "INVENTORY_URL")]
    pub inventory_url: Option<Url>,
    /// The orders service
    #[arg(long, env = "ORDERS_URL")]
    pub orders_url: Option<Url>,
    /// The payments service
    #[arg(long, env = "PAYMENTS_URL")]
    pub payments_url: Option<Url>,
    /// The notifications service
    #[arg(long, env = "NOTIFICATIONS_URL")]
    pub notifications_url: Option<Url>,
    /// The expiration service
    #[arg(long, env = "EXPIRATION_URL")]
    pub expiration_url: Option<Url>,
    /// Where events go to
    #[command(flatten)]
    pub events: Events,
    /// Ends streams that would otherwise outlive the server.
    #[arg(skip)]
    pub stop: CancellationToken,
}

impl Settings {
    /// Who is on the other side of each module.
    fn others(&self) -> BTreeMap<&'static str, Url> {
        let all = [
            ("users", &self.users_url),
            ("catalog", &self.catalog_url),
            ("inventory", &self.inventory_url),
            ("orders", &self.orders_url),
            ("payments", &self.payments_url),
            ("notifications", &self.notifications_url),
            ("expiration", &self.expiration_url),
        ];
        all.into_iter().filter_map(|(module, url)| Some((module, url.clone()?))).collect()
    }
}

/// What every handler can reach: the seams, never a repository.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) kit: Kit,
    pub(crate) settings: Settings,
    pub(crate) signer: Arc<Signer>,
    pub(crate) users: Seam<users::Local, dyn Users>,
    pub(crate) catalog: Arc<catalog::Local>,
    pub(crate) cart: Arc<cart::Local>,
    pub(crate) inventory: Seam<inventory::Local, dyn Inventory>,
    pub(crate) orders: Seam<orders::Local, dyn Orders>,
    pub(crate) payments: Arc<payments::Local>,
    pub(crate) notifications: Arc<notifications::Local>,
}

/// The shop's whole HTTP surface, its events on their way. Serve it with connect info: routes for the other programs of
/// the shop ask for the peer's address.
pub async fn app(database: &Database, settings: Settings) -> Result<(Router, Kit), Failure> {
    let (client, signer) = (client()?, Arc::new(users::signer(database).await?));
    let users = Arc::new(users::Local::new(database.clone()));
    let users_service = settings
        .users_url
        .clone()
        .map(|address| Arc::new(users::Http { client: client.clone(), address }) as Arc<dyn Users>);
    let inventory = Arc::new(inventory::Local::new(database.clone()));
    let catalog = Arc::new(catalog::Local::new(database.clone(), inventory.clone()));
    let inventory_service = settings
        .inventory_url
        .clone()
        .map(|address| Arc::new(inventory::Http { client: client.clone(), address }) as Arc<dyn Inventory>);
    let inventory =
        Seam::<_, dyn Inventory>::new("inventory", database, inventory.clone(), inventory, inventory_service);
    let notifications =
        Arc::new(notifications::Local { database: database.clone(), folder: settings.mail.clone() });
    let orders = Arc::new(orders::Local {
        database: database.clone(),
        catalog: catalog.clone(),
        inventory: inventory.clone(),
        notifications: notifications.clone(),
        pay_within: settings.pay_within.unwrap_or(PAY_WITHIN),
    });
    let orders_service = settings
        .orders_url
        .clone()
        .map(|address| Arc::new(orders::Http { client, address, signer: signer.clone() }) as Arc<dyn Orders>);
    let orders = Seam::<_, dyn Orders>::new("orders", database, orders.clone(), orders, orders_service);
    let secret = settings.webhook_secret.as_deref().unwrap_or("demo-secret");
    let payments = payments::Local::new(database.clone(), orders.clone(), notifications.clone(), secret);
    let listener = Arc::new(Listener {
        users: users.clone(),
        catalog: catalog.clone(),
        inventory: inventory.local.clone(),
        orders: orders.local.clone(),
        payments: Arc::new(payments),
        notifications: notifications.clone(),
        expiration: expiration::Local { database: database.clone(), orders: orders.local.clone() },
    });
    let inbox = Inbox::new(database.clone(), listener.clone());
    let others = (settings.others(), State::Here);
    let kit =
        Kit::new(NAME, database.clone(), (listener.clone(), &OWNED), others, settings.stop.clone()).await?;
    let shop = Shop {
        signer,
        users: Seam::new("users", database, users.clone(), users, users_service),
        cart: Arc::new(cart::Local { database: database.clone(), catalog: catalog.clone() }),
        catalog,
        inventory,
        orders,
        payments: listener.payments.clone(),
        notifications,
        kit: kit.clone(),
        settings,
    };
    let own = routes(&kit).with_state(shop.clone());
    kit.start_events(&shop.settings.events, inbox.clone());
    listener.start(&kit.stop);
    Ok((web::lenient(kit.app(own, inbox)?), kit))
}

fn routes(kit: &Kit) -> Router<Shop> {
    Router::new()
        .merge(users::routes(kit))
        .merge(catalog::routes(kit))
        .merge(inventory::routes(kit))
        .merge(cart::routes())
        .merge(orders::routes(kit))
        .merge(payments::routes(kit))
        .merge(notifications::routes(kit))
        .merge(reports::routes())
        .merge(web::routes())
        .merge(operations::routes())
}
