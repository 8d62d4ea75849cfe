//! Who may come in, and who it is: the peer, or whom the peer speaks for.

use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncRead;

use super::Broken;
use super::beginning::{Late, begun};
use crate::connections::{Counted, Unwelcome};
use crate::gateway::Shared;
use crate::lingering::Lingering;

/// A connection that may stay.
pub(super) struct Admitted {
    pub(super) client: SocketAddr,
    pub(super) counted: Counted,
}

/// Closing is all that the others get: an answer to each would cost most when there are most of them, and with TLS a
/// handshake first.
pub(super) async fn admit<S>(
    shared: &Shared,
    worker: usize,
    stream: &mut Lingering<S>,
    peer: SocketAddr,
) -> Result<Admitted, Broken>
where
    S: AsyncRead + Unpin,
{
    let refuse = |reason: Unwelcome| {
        shared.metrics.unwelcome(worker, reason);
        Broken::from(reason.as_str())
    };
    let limits = &shared.settings.limits;
    let counted = shared.connections.enter(limits.connections);
    let mut counted = counted.ok_or_else(|| refuse(Unwelcome::TooMany))?;
    let client = if shared.settings.speaks_for_others(peer) {
        // On the heap: most connections never come here.
        let stated = Box::pin(stated_client(shared, worker, stream)).await;
        stated.map_err(|error| reason(&error).map_or(error, refuse))?.unwrap_or(peer)
    } else {
        peer
    };
    if counted.belongs_to(client.ip(), limits.connections_per_address) {
        Ok(Admitted { client, counted })
    } else {
        Err(refuse(Unwelcome::TooManyOfAddress))
    }
}

async fn stated_client<S>(
    shared: &Shared,
    worker: usize,
    stream: &mut Lingering<S>,
) -> Result<Option<SocketAddr>, Broken>
where
    S: AsyncRead + Unpin,
{
    let draining = shared.workers.draining(worker);
    begun(shared, &draining, shared.settings.limits.head_timeout, stream.proxy_header()).await
}

/// `None` for who left before the first byte, and for the drain.
fn reason(error: &Broken) -> Option<Unwelcome> {
    if error.is::<Late>() {
        return Some(Unwelcome::LateProxyHeader);
    }
    let error = error.downcast_ref::<io::Error>()?;
    (error.kind() == io::ErrorKind::InvalidData).then_some(Unwelcome::BadProxyHeader)
}
