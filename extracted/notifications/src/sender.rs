//! Sends what is noted, while this process is the writer of record.

use std::{io, path::PathBuf, time::Duration};

use boxoffice_kit::{Database, Problem, query_as, scalar, writer::is_here};

use crate::{Notification, Row, tell};

const LOOK_EVERY: Duration = Duration::from_millis(200);
const AT_ONCE: i64 = 50; // others want to write in between

pub(crate) async fn run(database: Database, mail: Option<PathBuf>) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        every.tick().await;
        if let Err(problem) = send_pending(&database, mail.as_ref()).await {
            tracing::warn!("notifications were not sent: {problem}");
        }
    }
}

/// Sends what is pending. A file that was written before the transaction failed is written again: the same one.
pub async fn send_pending(database: &Database, mail: Option<&PathBuf>) -> Result<(), Problem> {
    loop {
        let any = scalar!("SELECT count(*) FROM notifications WHERE state = 'pending'");
        if any.fetch_one(&database.read).await.map(|count: i64| count == 0)? {
            return Ok(());
        }
        let mut tx = database.begin().await?;
        if !is_here(&mut tx, "notifications").await? {
            return Ok(());
        }
        let sql = "SELECT * FROM notifications WHERE state = 'pending' ORDER BY created_at, id LIMIT $1";
        let pending: Vec<Row> = query_as!(sql, AT_ONCE).fetch_all(&mut *tx).await?;
        for row in pending {
            let sql = "SELECT name || ' <' || email || '>' FROM contacts WHERE user_id = $1";
            let to: Option<String> = scalar!(sql, row.user_id).fetch_optional(&mut *tx).await?;
            if let Some(folder) = mail {
                let to = to.unwrap_or_else(|| format!("user {}", row.user_id));
                write(folder, &to, &row.notification).await.map_err(|error| Problem::internal(&error))?;
            }
            let sql =
                "UPDATE notifications SET state = 'sent', version = version + 1 WHERE id = $1 RETURNING *";
            let sent: Row = query_as!(sql, row.notification.id).fetch_one(&mut *tx).await?;
            tell(&mut tx, &sent).await?;
        }
        tx.commit().await?;
    }
}

/// Whole or not at all: a reader of the folder never sees half a mail.
async fn write(folder: &PathBuf, to: &str, row: &Notification) -> io::Result<()> {
    let (unfinished, mail) = (folder.join(format!(".{}", row.id)), folder.join(format!("{}.txt", row.id)));
    tokio::fs::create_dir_all(folder).await?;
    tokio::fs::write(&unfinished, format!("To: {to}\nSubject: {}\n\n{}\n", row.subject, row.body)).await?;
    tokio::fs::rename(unfinished, mail).await
}
