//! The samples of one route during an hour, one after the other.
//!
//! An entry begins with a number: twice how many numbers a sample has that are not zero, and the numbers; or an odd one, 1 more than
//! twice how many samples in a row were idle; or 0, and then how many ticks passed without a sample.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::sample::{Sample, read_number, write_number};

/// Samples between two places where reading can begin.
const CHECKPOINT_EVERY: u64 = 30;

/// A tick, and what came about in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Ticks since 1970.
    pub(super) tick: u64,
    pub(super) sample: Sample,
}

/// Entries, oldest first.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// The tick before the first.
    start: u64,
    /// The last.
    end: u64,
    samples: u64,
    bytes: Vec<u8>,
    /// Idle samples at the end that are not written yet.
    idle: u64,
    /// Where reading can begin: the tick before, and the place.
    checkpoints: Vec<(u64, usize)>,
    is_packed: bool,
}

impl Block {
    /// Begins right after the tick `start`.
    pub(super) fn after(start: u64) -> Self {
        Self {
            start,
            end: start,
            samples: 0,
            bytes: Vec::new(),
            idle: 0,
            checkpoints: Vec::new(),
            is_packed: false,
        }
    }

    /// The last tick.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The first tick that can be in it.
    pub(super) fn first(&self) -> u64 {
        self.start + 1
    }

    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    pub(super) fn is_packed(&self) -> bool {
        self.is_packed
    }

    /// What it takes, about.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity() + self.checkpoints.capacity() * size_of::<(u64, usize)>()
    }

    /// Adds a sample of a tick after the last one.
    pub(super) fn push(&mut self, tick: u64, sample: &Sample) {
        let skipped = tick - self.end - 1;
        if skipped > 0 {
            self.write_idle();
            write_number(0, &mut self.bytes);
            write_number(skipped, &mut self.bytes);
        }
        if sample.is_idle() {
            self.idle += 1;
        } else {
            self.write_idle();
            if skipped == 0 {
                self.checkpoint();
            }
            sample.write(&mut self.bytes);
        }
        self.end = tick;
        self.samples += 1;
    }

    fn write_idle(&mut self) {
        if self.idle > 0 {
            write_number(self.idle * 2 + 1, &mut self.bytes);
            self.idle = 0;
        }
    }

    fn checkpoint(&mut self) {
        let last = self.checkpoints.last().map_or(self.start, |(tick, _)| *tick);
        if self.end >= last + CHECKPOINT_EVERY {
            self.checkpoints.push((self.end, self.bytes.len()));
        }
    }

    /// Nothing is added any more: makes it small.
    pub(super) fn pack(&mut self) {
        self.write_idle();
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        let packed = encoder.write_all(&self.bytes).and_then(|()| encoder.finish());
        // Writing to memory does not fail; if it did, the block stays as it is.
        if let Ok(packed) = packed {
            self.bytes = packed;
            self.checkpoints = Vec::new();
            self.is_packed = true;
        }
        self.bytes.shrink_to_fit();
    }

    /// Tells the entries whose tick is after `after`, oldest first.
    pub(super) fn read(&self, after: u64, mut each: impl FnMut(Entry)) {
        let unpacked;
        let (mut tick, mut bytes) = if self.is_packed {
            unpacked = unpacked_bytes(&self.bytes);
            (self.start, unpacked.as_slice())
        } else {
            let place = self.checkpoints.iter().rev().find(|(tick, _)| *tick <= after);
            let (tick, place) = place.copied().unwrap_or((self.start, 0));
            (tick, &self.bytes[place..])
        };
        let mut told = |tick: u64, sample: Sample| {
            if tick > after {
                each(Entry { tick, sample });
            }
        };
        while let Some(head) = read_number(&mut bytes) {
            if head == 0 {
                tick += read_number(&mut bytes).unwrap_or_default();
            } else if head % 2 == 1 {
                for _ in 0..head / 2 {
                    tick += 1;
                    told(tick, Sample::default());
                }
            } else {
                let Some(sample) = Sample::read(head / 2, &mut bytes) else { return };
                tick += 1;
                told(tick, sample);
            }
        }
        for _ in 0..self.idle {
            tick += 1;
            told(tick, Sample::default());
        }
    }
}

fn unpacked_bytes(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was packed here can be unpacked here; if not, there is no data.
    if DeflateDecoder::new(packed).read_to_end(&mut bytes).is_err() {
        bytes.clear();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, prop, proptest};

    use super::*;

    /// Gaps before each sample, and its numbers.
    fn samples() -> impl Strategy<Value = Vec<(u64, Sample)>> {
        let number =
            prop::sample::select(vec![0, 1, 2, 14, 15, 16, 17, 300, u64::from(u32::MAX), u64::MAX / 2]);
        let sample = prop::collection::vec((0_usize..80, number), 0..6)
            .prop_map(|numbers| Sample::of_numbers(&numbers));
        let gap = prop::sample::select(vec![0_u64, 0, 0, 0, 1, 5, 200]);
        prop::collection::vec((gap, sample), 0..150)
    }

    proptest! {
        /// Nothing is lost, nothing is invented, wherever reading begins and whether packed or not.
        #[test]
        fn what_was_written_is_read(samples in samples(), from in 0_u64..400, pack in 0_u8..2) {
            let mut block = Block::after(1_000);
            let (mut tick, mut expected) = (1_000, Vec::new());
            for (gap, sample) in samples {
                tick += gap + 1;
                block.push(tick, &sample);
                expected.push(Entry { tick, sample });
            }
            if pack == 1 {
                block.pack();
            }
            let after = 990 + from;
            expected.retain(|entry| entry.tick > after);
            let mut found = Vec::new();
            block.read(after, |entry| found.push(entry));
            proptest::prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn an_idle_hour_takes_next_to_nothing() {
        let mut block = Block::after(0);
        for tick in 1..=360 {
            block.push(tick, &Sample::default());
        }
        block.pack();
        assert_eq!(block.samples(), 360);
        assert!(block.bytes.len() < 16, "{} bytes", block.bytes.len());
    }
}
