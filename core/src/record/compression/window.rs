//! Output under construction: how far back a match may reach, and how far the output may go.

use super::DecompressError;

/// Why a block stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Corrupt,
    /// The output would pass the end of the window.
    Full,
}

pub(super) trait OrCorrupt<T> {
    fn or_corrupt(self) -> Result<T, Stop>;
}

impl<T> OrCorrupt<T> for Option<T> {
    #[inline]
    fn or_corrupt(self) -> Result<T, Stop> {
        self.ok_or(Stop::Corrupt)
    }
}

/// The bound on the output of one call: where the output must end at the latest, and the bytes that this is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub end: usize,
    pub bytes_max: usize,
}

impl Bound {
    pub fn after(output: &[u8], bytes_max: usize) -> Self {
        Self { end: output.len().saturating_add(bytes_max), bytes_max }
    }

    pub fn error(&self, stop: Stop) -> DecompressError {
        match stop {
            Stop::Corrupt => DecompressError::Corrupt,
            Stop::Full => DecompressError::TooLarge { bytes_max: self.bytes_max },
        }
    }

    /// Runs the decoder of one block, which by its format makes at most `block_max` bytes: more is corrupt, unless it is
    /// the bound that is in the way.
    pub fn block(
        &self,
        output: &mut Vec<u8>,
        start: usize,
        block_max: usize,
        decode: impl FnOnce(&mut Window<'_>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let block_end = output.len().saturating_add(block_max);
        let mut window = Window { end: block_end.min(self.end), output, start };
        let is_bound = block_end > self.end;
        decode(&mut window).map_err(|stop| if is_bound { stop } else { Stop::Corrupt })
    }
}

#[derive(Debug)]
pub(super) struct Window<'a> {
    output: &'a mut Vec<u8>,
    start: usize,
    end: usize,
}

impl Window<'_> {
    fn check(&self, length: usize) -> Result<(), Stop> {
        if length > self.end.saturating_sub(self.output.len()) { Err(Stop::Full) } else { Ok(()) }
    }

    #[inline]
    pub fn literals(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.check(bytes.len())?;
        self.output.extend_from_slice(bytes);
        Ok(())
    }

    pub fn fill(&mut self, byte: u8, length: usize) -> Result<(), Stop> {
        self.check(length)?;
        self.output.resize(self.output.len().saturating_add(length), byte);
        Ok(())
    }

    /// Repeats what is `distance` bytes back; source and target may overlap.
    #[inline]
    pub fn copy(&mut self, distance: usize, length: usize) -> Result<(), Stop> {
        self.check(length)?;
        let from = self.output.len().checked_sub(distance).filter(|&from| from >= self.start).or_corrupt()?;
        let mut left = length;
        while left > 0 {
            let piece = left.min(self.output.len().saturating_sub(from));
            if piece == 0 {
                return Err(Stop::Corrupt);
            }
            self.output.extend_from_within(from..from.saturating_add(piece));
            left = left.saturating_sub(piece);
        }
        Ok(())
    }
}
