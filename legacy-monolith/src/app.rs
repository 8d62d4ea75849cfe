//! Puts the modules together.

use std::{collections::BTreeMap, sync::Arc};

use axum::Router;
use boxoffice_kit::{
    Database,
    identity::Signer,
    inbox::Inbox,
    service::{Events, Failure, Kit},
    writer::{Owned, State},
};
use clap::Args;
use reqwest::Url;
use tokio_util::sync::CancellationToken;

use crate::{
    catalog,
    events::Listener,
    inventory::{self, Inventory},
    operations,
    orders::{self, Orders},
    seam::Seam,
    users::{self, Users},
    web,
};

/// The name in answers and metrics.
pub const NAME: &str = "boxoffice-monolith";

/// The modules that can be taken out.
static OWNED: [Owned; 3] = [users::OWNED, catalog::OWNED, inventory::OWNED];

/// What may differ between two runs. The addresses say where a module lives once it is taken out.
#[derive(Args, Clone, Debug, Default)]
pub struct Settings {
    /// The own address written into redirects, as `http://shop.example`; the request's Host when absent
    #[arg(long, env = "BOXOFFICE_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// The domain of session cookies; the own host when absent
    #[arg(long, env = "BOXOFFICE_COOKIE_DOMAIN")]
    pub cookie_domain: Option<String>,
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
    pub(crate) inventory: Seam<inventory::Local, dyn Inventory>,
    pub(crate) orders: Seam<orders::Local, dyn Orders>,
}

/// The shop's whole HTTP surface, its events on their way. Serve it with connect info: routes for the other programs of
/// the shop ask for the peer's address.
pub async fn app(database: &Database, settings: Settings) -> Result<(Router, Kit), Failure> {
    let users = Arc::new(users::Local::new(database.clone()));
    let inventory = Arc::new(inventory::Local::new(database.clone()));
    let catalog = Arc::new(catalog::Local::new(database.clone(), inventory.clone()));
    let listener =
        Arc::new(Listener { users: users.clone(), catalog: catalog.clone(), inventory: inventory.clone() });
    let inbox = Inbox::new(database.clone(), listener.clone());
    let others = (settings.others(), State::Here);
    let kit = Kit::new(NAME, database.clone(), (listener, &OWNED), others, settings.stop.clone()).await?;
    let users_service = settings.users_url.clone().map(|url| users::Http::new(kit.client.clone(), url));
    let users_service = users_service.map(|http| Arc::new(http) as Arc<dyn Users>);
    let orders = Arc::new(orders::Local::new(database.clone(), catalog.clone(), inventory.clone()));
    let shop = Shop {
        signer: Arc::new(users::signer(database).await?),
        users: Seam::new("users", &kit, users.clone(), users, users_service),
        catalog,
        orders: Seam::new("orders", &kit, orders.clone(), orders, None),
        inventory: Seam::new("inventory", &kit, inventory.clone(), inventory, None),
        kit: kit.clone(),
        settings,
    };
    let own = Router::new()
        .merge(users::routes(&kit))
        .merge(catalog::routes(&kit))
        .merge(inventory::routes(&kit))
        .merge(orders::routes())
        .merge(web::routes())
        .merge(operations::routes())
        .with_state(shop.clone());
    kit.start_events(&shop.settings.events, inbox.clone());
    Ok((kit.app(own, inbox)?, kit))
}
