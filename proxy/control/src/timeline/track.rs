//! All samples of one route, and where its counters stood.

use std::collections::VecDeque;

use banyan_routes::Share;

use super::HOUR;
use super::block::{Block, Entry};
use super::sample::Sample;

/// Changes of the configured share that are remembered.
const SHARES_MAX: usize = 512;

/// How far into an hour the one before stays as it is: the board reads that much.
const STAYS_OPEN: u64 = 40;

/// Of one route. Ticks rise.
#[derive(Debug, Default)]
pub(super) struct Track {
    counters: Option<Box<Sample>>,
    is_seen: bool,
    /// One per hour of the clock, oldest first.
    blocks: VecDeque<Block>,
    /// Samples from this tick on are of before the last change.
    changed_at: u64,
    /// Since which tick, which share was configured.
    shares: VecDeque<(u64, Option<Share>)>,
}

impl Track {
    /// The counters stand there now. What they rose by, if it is known where they stood.
    pub(super) fn take(&mut self, tick: u64, counters: Box<Sample>) -> Option<Sample> {
        self.is_seen = true;
        let before = self.counters.replace(counters)?;
        let sample = self.counters.as_ref()?.since(&before);
        if self.blocks.back().is_none_or(|block| tick > block_end(block.first())) {
            // Ticks of an hour begin after its first: the sample of a tick is about the time up to it.
            self.blocks.push_back(Block::after((tick - 1) / HOUR * HOUR));
        }
        if let Some(block) = self.blocks.back_mut() {
            block.push(tick, &sample);
        }
        Some(sample)
    }

    /// Until [`Self::take`] says otherwise, the route is not there.
    pub(super) fn unseen(&mut self) {
        self.is_seen = false;
    }

    /// Counters of a route that went and comes again are others.
    pub(super) fn forget_unseen(&mut self) {
        if !self.is_seen {
            self.counters = None;
        }
    }

    /// True when it was known.
    pub(super) fn forget_where_counters_stood(&mut self) -> bool {
        self.counters.take().is_some()
    }

    /// Which share is configured.
    pub(super) fn configured(&mut self, tick: u64, share: Option<Share>) {
        if self.shares.back().is_some_and(|(_, last)| *last == share) {
            return;
        }
        if self.shares.len() == SHARES_MAX {
            self.shares.pop_front();
        }
        self.shares.push_back((tick, share));
    }

    /// Which share was configured then.
    pub(super) fn share_at(&self, tick: u64) -> Option<Share> {
        self.shares.iter().rev().find(|(since, _)| *since <= tick)?.1
    }

    /// The ticks up to this one are of before a change.
    pub(super) fn changed_at(&mut self, tick: u64) {
        self.changed_at = tick;
    }

    /// The samples after this tick and after the last change, added up; and how many.
    pub(super) fn sum_after(&self, tick: u64) -> (Sample, u64) {
        let (mut sum, mut samples) = (Sample::default(), 0);
        self.read(tick.max(self.changed_at), |entry| {
            sum.add(&entry.sample);
            samples += 1;
        });
        (sum, samples)
    }

    /// Tells the samples after this tick, oldest first.
    pub(super) fn read(&self, after: u64, mut each: impl FnMut(Entry)) {
        for block in self.blocks.iter().filter(|block| block.end() > after) {
            block.read(after, &mut each);
        }
    }

    /// Makes one hour that is over small, if there is one to be made so.
    pub(super) fn pack_one(&mut self, tick: u64) -> bool {
        let is_over = |block: &Block| block_end(block.first()) + STAYS_OPEN < tick;
        let Some(block) = self.blocks.iter_mut().rev().find(|block| is_over(block) && !block.is_packed())
        else {
            return false;
        };
        block.pack();
        true
    }

    /// Lets go of hours that end by this tick; how many samples that were.
    pub(super) fn forget_until(&mut self, tick: u64) -> u64 {
        let mut forgotten = 0;
        while let Some(block) = self.blocks.pop_front_if(|block| block_end(block.first()) <= tick) {
            forgotten += block.samples();
        }
        forgotten
    }

    pub(super) fn oldest_block_end(&self) -> Option<u64> {
        self.blocks.front().map(|block| block_end(block.first()))
    }

    /// The tick of the oldest sample, or a little before.
    pub(super) fn first(&self) -> Option<u64> {
        let mut first = None;
        self.blocks.front()?.read(0, |entry| {
            first.get_or_insert(entry.tick);
        });
        first
    }

    pub(super) fn samples(&self) -> u64 {
        self.blocks.iter().map(Block::samples).sum()
    }

    /// Neither there nor remembered.
    pub(super) fn is_forgotten(&self) -> bool {
        self.counters.is_none() && self.blocks.is_empty()
    }

    /// What it takes, about: with its name and its place among the others.
    pub(super) fn memory(&self) -> usize {
        let shares = self.shares.capacity() * size_of::<(u64, Option<Share>)>();
        let own = size_of::<Self>() + size_of::<Sample>() + 128;
        // Blocks are held in a ring with some room.
        own + shares + self.blocks.iter().map(Block::memory).sum::<usize>()
    }
}

#[cfg(test)]
impl Track {
    /// Of hours that were made small.
    pub(super) fn packed_memory(&self) -> usize {
        self.blocks.iter().filter(|block| block.is_packed()).map(Block::memory).sum()
    }
}

/// The last tick of the hour of this tick.
fn block_end(tick: u64) -> u64 {
    tick.next_multiple_of(HOUR)
}
