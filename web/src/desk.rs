//! What pages and the API work with.

use std::fmt;
use std::sync::Arc;

use brasa_jobs::Site;
use brasa_shared::finding::Section;
use futures_util::future::BoxFuture;
use sqlx::PgPool;
use tokio::sync::watch;

use crate::api::Hall;
use crate::auth::Keys;
use crate::view::database;
use crate::view::examined::Examined;
use crate::view::graves::Graves;
use crate::view::looks::Looks;
use crate::view::series::Series;

/// Enqueues a job of a schedule at once, and gives its id; or why not, in words.
pub type Fire = Arc<dyn Fn(String) -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// Examines the servers: whoever shows what was found need not know how to look.
pub type Doctor = Arc<dyn Fn() -> BoxFuture<'static, Vec<Section>> + Send + Sync>;

/// What pages and the API work with.
#[derive(Clone)]
pub struct Desk {
    /// The installation.
    pub site: Site,
    /// Its database, where an address of one was given.
    pub pool: Option<PgPool>,
    /// How schedules are run at once: who looks does not know the scheduler.
    pub fire: Fire,
    /// How the servers are examined.
    pub doctor: Doctor,
    /// Who gets in.
    pub(crate) keys: Arc<Keys>,
    /// How it went of late.
    pub(crate) series: Arc<Series>,
    /// Counts up when something changed, while somebody looks.
    pub(crate) changes: Arc<watch::Sender<u64>>,
    /// What jobs died of.
    pub(crate) graves: Arc<Looks<Graves>>,
    /// What requests of programs share.
    pub(crate) hall: Arc<Hall>,
    /// What was seen of the database last.
    pub(crate) database: Arc<Looks<database::Seen>>,
    /// What was found at the servers last.
    pub(crate) examined: Arc<Looks<Examined>>,
}

impl Desk {
    /// A desk of an installation.
    pub fn new(site: Site, pool: Option<PgPool>, fire: Fire, doctor: Doctor) -> Self {
        let keys = Arc::new(Keys::new(&site));
        let changes = Arc::new(watch::Sender::new(0));
        Self {
            site,
            pool,
            fire,
            doctor,
            keys,
            series: Arc::default(),
            changes,
            graves: Arc::default(),
            hall: Arc::default(),
            database: Arc::default(),
            examined: Arc::default(),
        }
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}
