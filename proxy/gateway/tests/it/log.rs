//! What the log says, caught for the whole test program: each test looks for names of its own.

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

/// Lines caught so far that hold a word.
pub(crate) fn lines_with(word: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(&LINES.lock().unwrap()).into_owned();
    text.lines().filter(|line| line.contains(word)).map(str::to_owned).collect()
}
