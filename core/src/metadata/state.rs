//! [`MetadataState`]: the image, and the one that a metadata transaction is building.

use super::record::name;
use super::{MetadataImage, MetadataRecord, ReplayError};

/// What the metadata log says: an image to be published and, inside a metadata transaction (KIP-868), the one to come.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataState {
    image: MetadataImage,
    transaction: Option<MetadataImage>,
}

impl MetadataState {
    /// Nothing in progress.
    pub fn new(image: MetadataImage) -> Self {
        Self { image, transaction: None }
    }

    /// The image outside any open transaction: what may be published.
    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// The image that decisions build on: inside an open transaction, with its records.
    pub fn tip(&self) -> &MetadataImage {
        self.transaction.as_ref().unwrap_or(&self.image)
    }

    /// Whether a transaction is open; a new leader aborts it.
    pub fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Applies one record.
    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::BeginTransaction(_) => match self.transaction {
                None => self.transaction = Some(self.image.clone()),
                Some(_) => return Err(ReplayError::OutOfTransaction(name(record))),
            },
            MetadataRecord::EndTransaction(_) => match self.transaction.take() {
                Some(image) => self.image = image,
                None => return Err(ReplayError::OutOfTransaction(name(record))),
            },
            MetadataRecord::AbortTransaction(_) => {
                self.transaction.take().ok_or_else(|| ReplayError::OutOfTransaction(name(record)))?;
            }
            record => self.transaction.as_mut().unwrap_or(&mut self.image).replay(record)?,
        }
        Ok(())
    }
}
