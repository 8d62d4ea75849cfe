//! What the log says, caught for the whole test program. Folders have random names, so each test finds its own
//! lines.

use std::io::{self, Write};
use std::sync::{Mutex, Once};

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static STARTED: Once = Once::new();

struct Caught;

impl Write for Caught {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From here on the log is caught.
pub(crate) fn catch() {
    STARTED.call_once(|| tracing_subscriber::fmt().with_ansi(false).with_writer(|| Caught).init());
}

/// Everything caught so far.
pub(crate) fn caught() -> String {
    String::from_utf8_lossy(&LINES.lock().unwrap()).into_owned()
}
