//! Where the dictionaries are kept that values are packed with.

use crate::cache::Caches;
use crate::store::StoreError;

impl Caches {
    /// A dictionary by its id.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn dictionary(&self, id: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let mut get = redis::cmd("HGET");
        get.arg(&self.keys().dictionaries).arg(id);
        self.run("fetch a dictionary", &get).await
    }

    /// The id of the dictionary that a warmer packs its values with.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn packed_with(&self, warmer: &str) -> Result<Option<u32>, StoreError> {
        let mut get = redis::cmd("HGET");
        get.arg(&self.keys().packed_with).arg(warmer);
        self.run("look which dictionary is used", &get).await
    }

    /// Keeps a dictionary, and packs the values of a warmer with it from now on. Those before stay: values may be
    /// packed with them.
    ///
    /// # Errors
    /// Redis is out of reach or full.
    pub async fn pack_with(&self, warmer: &str, id: u32, bytes: &[u8]) -> Result<(), StoreError> {
        let mut pipe = redis::pipe();
        pipe.atomic();
        pipe.cmd("HSET").arg(&self.keys().dictionaries).arg(id).arg(bytes).ignore();
        pipe.cmd("HSET").arg(&self.keys().packed_with).arg(warmer).arg(id).ignore();
        self.run_all::<()>("keep a dictionary", &pipe).await
    }
}
