//! Which sockets have something to read. rustix is here for epoll without `unsafe`, with waits finer than a millisecond.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};

pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poll {
    pub(crate) fn new() -> Result<Self, String> {
        let epoll =
            epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|problem| format!("epoll: {problem}"))?;
        Ok(Self { epoll, events: Vec::with_capacity(1024) })
    }

    pub(crate) fn add(&self, socket: impl AsFd, name: usize) -> Result<(), String> {
        epoll::add(&self.epoll, socket, epoll::EventData::new_u64(name as u64), epoll::EventFlags::IN)
            .map_err(|problem| format!("epoll: {problem}"))
    }

    /// Names of those that are ready; none when the time was over first.
    pub(crate) fn wait(&mut self, longest: Option<Duration>) -> Result<Vec<usize>, String> {
        let longest = longest.map(|time| Timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        self.events.clear();
        let events = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, events, longest.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(problem) => return Err(format!("epoll: {problem}")),
        }
        let names = self.events.iter().map(|event| event.data.u64());
        Ok(names.filter_map(|name| usize::try_from(name).ok()).collect())
    }
}
