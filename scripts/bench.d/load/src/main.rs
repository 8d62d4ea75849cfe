//! Both ends of the load on a proxy, each on one thread.
//!
//! - `client`: requests by a schedule that waits for no answer (open loop), or one after the other (closed loop).
//!   `answer`: where an answer ends. `arrivals`: when requests are due. `latencies`: what is said of them in the end.
//! - `server`: an upstream that answers late, takes only so many connections, and echoes WebSocket messages.
//! - `poll`: epoll, with waits finer than a millisecond.
//! - `arguments`: the command line.

mod answer;
mod arguments;
mod arrivals;
mod client;
mod latencies;
mod poll;
mod server;

use std::process::ExitCode;

const USAGE: &str = "usage:
  load client --port P --connections N --seconds S [--rate R] [--warm-up S] [--target PATH] [--cookie] [--websocket BYTES]
  load server --port P [--delay-ms MS] [--most N]";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let done = arguments::Arguments::read(words).and_then(|given| match command.as_str() {
        "client" => client::run(&given),
        "server" => server::run(&given),
        _ => Err(USAGE.to_owned()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}
