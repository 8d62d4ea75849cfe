//! Notes what is to be told, and tells it.

use std::{path::PathBuf, time::Duration};

use boxoffice_kit::{Connection, Database, Event, Problem, identity::User, publish, writer};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Listing, Note, Notification, Row, repository};

const LOOK_EVERY: Duration = Duration::from_millis(200);
const AT_ONCE: i64 = 50; // others want to write in between
const LIST_MAX: i64 = 100;

/// Notifications in this process and this database.
pub(crate) struct Local {
    pub(crate) database: Database,
    /// The stand-in for a mail server: a file each. Without it they are only marked as sent.
    pub(crate) folder: Option<PathBuf>,
}

impl Local {
    /// Notes, in the transaction of what happened. Whoever writes notifications sends it later.
    pub(crate) async fn note(&self, tx: &mut Connection, note: Note) -> Result<(), Problem> {
        Ok(repository::note(tx, &note, &format!("{:.6}", Timestamp::now())).await?)
    }

    /// Sends what is noted, until told to stop.
    pub(crate) async fn keep_sending(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.send_pending().await {
                Ok(()) => {}
                Err(problem) if problem.is_elsewhere() => {}
                Err(problem) => tracing::warn!("notifications were not sent: {problem}"),
            }
            tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(LOOK_EVERY) => {} }
        }
    }

    /// A file that was written before the transaction failed is written again: the same one.
    async fn send_pending(&self) -> Result<(), Problem> {
        while repository::is_any_pending(&mut *self.database.read.acquire().await?).await? {
            let mut tx = self.database.begin().await?;
            writer::hold(&mut tx, "notifications").await?;
            for row in repository::pending(&mut tx, AT_ONCE).await? {
                self.send(&row).await.map_err(|error| Problem::internal(&error))?;
                let row = repository::sent(&mut tx, &row.notification.id).await?;
                tell(&mut tx, &row).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    /// Whole or not at all: a reader of the folder never sees half a mail.
    async fn send(&self, row: &Row) -> std::io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let Notification { id, subject, body, .. } = &row.notification;
        let (unfinished, mail) = (folder.join(format!(".{id}")), folder.join(format!("{id}.txt")));
        let text = format!("To: user {}\nSubject: {subject}\n\n{body}\n", row.user_id);
        tokio::fs::create_dir_all(folder).await?;
        tokio::fs::write(&unfinished, text).await?;
        tokio::fs::rename(unfinished, mail).await
    }

    pub(crate) async fn list(&self, user: &User) -> Result<Listing, Problem> {
        let mut connection = self.database.read.acquire().await?;
        let notifications = repository::list(&mut connection, user.id, LIST_MAX).await?;
        Ok(Listing { notifications, unread: repository::unread(&mut connection, user.id).await? })
    }

    pub(crate) async fn unread(&self, user: &User) -> Result<i64, Problem> {
        Ok(repository::unread(&mut *self.database.read.acquire().await?, user.id).await?)
    }

    /// Marks as read. Twice is the same as once.
    pub(crate) async fn read(&self, user: &User, id: &str) -> Result<(), Problem> {
        let missing = || Problem::not_found("notification");
        if id.contains('\0') {
            return Err(missing()); // PostgreSQL has no such text
        }
        let mut tx = self.database.begin().await?;
        writer::hold(&mut tx, "notifications").await?;
        match repository::read(&mut tx, user.id, id).await? {
            Some(row) => tell(&mut tx, &row).await?,
            None if repository::is_users(&mut tx, user.id, id).await? => {}
            None => return Err(missing()),
        }
        Ok(tx.commit().await?)
    }

    /// Keeps what the service tells of a notification it sent.
    pub(crate) async fn heard(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        Ok(repository::upsert(tx, &event.data()?).await?)
    }

    pub(crate) async fn replay(&self, tx: &mut Connection, offset: i64, limit: i64) -> Result<i64, Problem> {
        let all = repository::all(tx, offset, limit).await?;
        for row in &all {
            tell(tx, row).await?;
        }
        Ok(i64::try_from(all.len()).unwrap_or(limit))
    }
}

async fn tell(tx: &mut Connection, row: &Row) -> Result<(), Problem> {
    publish(tx, "notification.sent", (format!("notification-{}", row.notification.id), row.version), row)
        .await
}
