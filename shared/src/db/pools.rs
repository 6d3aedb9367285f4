//! The pools of a process by name, for whoever wants to see how busy they are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::PgPool;

/// The pools of a process. Copies share what they know.
#[derive(Debug, Clone, Default)]
pub struct Pools(Arc<Mutex<Vec<(&'static str, PgPool)>>>);

/// How busy the pools of one name are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolUse {
    /// Connections that somebody works with, or that are being made.
    pub in_use: u32,
    /// Connections that nobody works with.
    pub idle: u32,
    /// How many there may be.
    pub max: u32,
}

impl PoolUse {
    /// How much of it is in use, from 0 to 1.
    pub fn share(&self) -> f64 {
        if self.max == 0 { 0.0 } else { f64::from(self.in_use) / f64::from(self.max) }
    }

    fn of(pool: &PgPool) -> Self {
        let (size, max) = (pool.size(), pool.options().get_max_connections());
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX).min(size);
        Self { in_use: size - idle, idle, max }
    }

    fn and(self, other: Self) -> Self {
        Self { in_use: self.in_use + other.in_use, idle: self.idle + other.idle, max: self.max + other.max }
    }
}

impl Pools {
    /// Makes a pool known; those of one name are counted together.
    pub fn add(&self, name: &'static str, pool: &PgPool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name, pool.clone()));
    }

    /// All that are open.
    pub fn open(&self) -> Vec<(&'static str, PgPool)> {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|(_, pool)| !pool.is_closed());
        pools.clone()
    }

    /// How busy they are, by name.
    pub fn uses(&self) -> BTreeMap<&'static str, PoolUse> {
        let mut uses = BTreeMap::new();
        for (name, pool) in self.open() {
            let so_far: &mut PoolUse = uses.entry(name).or_default();
            *so_far = so_far.and(PoolUse::of(&pool));
        }
        uses
    }
}
