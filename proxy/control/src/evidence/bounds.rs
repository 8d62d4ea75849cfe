//! How much is kept.

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Oldest samples of a signature.
    pub(super) oldest: u32,
    /// Newest samples of a signature.
    pub(super) newest: u32,
    /// Least time until a newer sample takes the place of the newest.
    pub(super) replaced_after_ms: i64,
    /// Samples of one route; half as many of noise.
    pub(super) of_route: u32,
    /// Samples of all routes.
    pub(super) samples: u32,
    /// Pages of 4 KiB that samples may fill; the rest is for counts.
    pub(super) pages_of_samples: u32,
    /// Pages of the whole file.
    pub(super) pages: u32,
    /// What the journal beside the file is cut to.
    pub(super) journal_bytes: u32,
    /// Age at which samples go.
    pub(super) age_ms: u64,
}

const PAGES_PER_MIB: u32 = 256;

impl Bounds {
    /// Of a file.
    pub(super) const DISK: Self = Self {
        oldest: 3,
        newest: 3,
        replaced_after_ms: 1_000,
        of_route: 600,
        samples: 6_000,
        pages_of_samples: 64 * PAGES_PER_MIB,
        pages: 96 * PAGES_PER_MIB,
        journal_bytes: 4 * 1024 * 1024,
        age_ms: 14 * 24 * 60 * 60 * 1_000,
    };

    /// Without a file.
    pub(super) const MEMORY: Self =
        Self { pages_of_samples: 12 * PAGES_PER_MIB, pages: 16 * PAGES_PER_MIB, ..Self::DISK };
}
