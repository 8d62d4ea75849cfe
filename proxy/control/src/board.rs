//! The board: made once per sample and configuration, and shared by everybody who asks.

use std::sync::Arc;

use crate::api::{API_VERSION, Board, BoardTotals};
use crate::view::View;

/// Makes the board. Cheap to clone.
#[derive(Clone)]
pub(crate) struct BoardMaker {
    pub(crate) view: View,
}

/// A board, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct MadeBoard {
    /// For pages.
    pub(crate) board: Arc<Board>,
    /// The same as JSON.
    pub(crate) json: bytes::Bytes,
    /// Strong entity tag (RFC 9110, 8.8.3), quotes included.
    pub(crate) etag: String,
}

impl BoardMaker {
    /// The board as of the newest sample.
    pub(crate) fn board(&self) -> MadeBoard {
        let config = self.view.config();
        let totals = BoardTotals {
            routes: 0,
            routes_off: 0,
            requests_off_ratio: None,
            requests_off_seconds: 3600,
            requests_per_second: None,
            window_seconds: 300,
            as_of: None,
            stale_seconds: None,
            generation: config.generation,
            hash: config.hash,
            since: config.since,
            floor: config.floor,
            last_reload: config.last_reload,
            phase: "ready".to_owned(),
            history_problem: config.history_problem,
        };
        let board = Arc::new(Board { version: API_VERSION, totals, rows: Vec::new() });
        MadeBoard { board, json: bytes::Bytes::new(), etag: "\"1\"".to_owned() }
    }
}
