//! What is known of indexes from before: the fewest bytes that an entry ever took, and how rebuilds went.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row as _};

use crate::database::indexes::Index;

/// From fewer entries nothing is concluded.
const ENTRIES_MIN: f64 = 10_000.0;
/// How long an index is left alone after a failure: so many hours, twice as many after each further one,
const REST_HOURS: f64 = 24.0;
/// and never longer than this.
const REST_HOURS_MAX: f64 = 24.0 * 28.0;

/// What is known of an index from before.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Past {
    /// The fewest bytes that an entry ever took.
    pub ratio: Option<f64>,
    /// How many days ago it was rebuilt.
    pub rebuilt_days: Option<f64>,
    /// How many bytes that gave back.
    pub gained: Option<i64>,
    /// How large it was then, in bytes.
    pub bytes_after: Option<i64>,
    /// How often it failed since.
    pub fails: i32,
    /// Whether it is left alone for now, since it failed.
    pub is_resting: bool,
}

/// By schema and name.
pub(super) type Pasts = BTreeMap<(String, String), Past>;

const RECALL: &str =
    "/* brasa */ select schema_name, index_name, signature, ratio, gained, bytes_after, fails,
        extract(epoch from clock_timestamp() - rebuilt_at)::float8 / 86400 as rebuilt_days,
        coalesce(not_before > clock_timestamp(), false) as is_resting
    from brasa.care_indexes";

/// What is known of these indexes, as far as they are what they were.
///
/// # Errors
/// What Postgres says.
pub(super) async fn recall(connection: &mut PgConnection, indexes: &[Index]) -> Result<Pasts, sqlx::Error> {
    let known: BTreeMap<(&str, &str), &str> = indexes
        .iter()
        .map(|index| ((index.schema.as_str(), index.bare.as_str()), index.signature.as_str()))
        .collect();
    let mut pasts = Pasts::new();
    for row in sqlx::query(RECALL).fetch_all(connection).await? {
        let (schema, name): (String, String) = (row.try_get("schema_name")?, row.try_get("index_name")?);
        let signature: String = row.try_get("signature")?;
        if known.get(&(schema.as_str(), name.as_str())) != Some(&signature.as_str()) {
            continue;
        }
        let past = Past {
            ratio: row.try_get("ratio")?,
            rebuilt_days: row.try_get("rebuilt_days")?,
            gained: row.try_get("gained")?,
            bytes_after: row.try_get("bytes_after")?,
            fails: row.try_get("fails")?,
            is_resting: row.try_get("is_resting")?,
        };
        pasts.insert((schema, name), past);
    }
    Ok(pasts)
}

/// One that is another now, or was not seen with so few bytes for a month, begins anew.
const NOTE_RATIOS: &str = "insert into brasa.care_indexes as known
        (schema_name, index_name, signature, ratio, ratio_at, ratio_from)
    select s, n, g, r, clock_timestamp(), 'seen' from unnest($1::text[], $2::text[], $3::text[], $4::float8[])
        as seen (s, n, g, r)
    on conflict (schema_name, index_name) do update set
        ratio = excluded.ratio, ratio_at = excluded.ratio_at, ratio_from = excluded.ratio_from,
        signature = excluded.signature,
        rebuilt_at = case when known.signature = excluded.signature then known.rebuilt_at end,
        gained = case when known.signature = excluded.signature then known.gained end,
        bytes_after = case when known.signature = excluded.signature then known.bytes_after end,
        fails = case when known.signature = excluded.signature then known.fails else 0 end,
        not_before = case when known.signature = excluded.signature then known.not_before end
    where known.signature <> excluded.signature or known.ratio is null or excluded.ratio < known.ratio
        or (known.ratio_from = 'seen' and known.ratio_at < now() - interval '30 days')";

/// Notes how many bytes an entry takes now, where that is fewer than ever.
///
/// # Errors
/// What Postgres says.
pub async fn note_ratios<'i>(
    connection: &mut PgConnection,
    indexes: impl IntoIterator<Item = &'i Index>,
) -> Result<(), sqlx::Error> {
    let (mut schemas, mut names) = (Vec::new(), Vec::new());
    let (mut signatures, mut ratios) = (Vec::new(), Vec::new());
    let counts = |index: &&Index| index.is_valid && !index.is_partitioned && !index.is_of_system;
    for index in indexes.into_iter().filter(counts) {
        let Some(ratio) = ratio(index) else { continue };
        schemas.push(index.schema.as_str());
        names.push(index.bare.as_str());
        signatures.push(index.signature.as_str());
        ratios.push(ratio);
    }
    let query = sqlx::query(NOTE_RATIOS).bind(schemas).bind(names).bind(signatures).bind(ratios);
    query.execute(connection).await.map(drop)
}

/// How many bytes an entry takes; none where there are too few of them to tell.
pub(super) fn ratio(index: &Index) -> Option<f64> {
    let tuples = index.tuples.filter(|tuples| *tuples >= ENTRIES_MIN)?;
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let bytes = index.bytes()? as f64;
    (bytes > 0.0).then_some(bytes / tuples)
}

const REBUILT: &str = "insert into brasa.care_indexes as known
        (schema_name, index_name, signature, ratio, ratio_at, ratio_from, rebuilt_at, bytes_after, gained)
    values ($1, $2, $3, $4::float8, case when $4::float8 is not null then clock_timestamp() end,
        case when $4::float8 is not null then 'rebuilt' end, clock_timestamp(), $5, $6)
    on conflict (schema_name, index_name) do update set signature = excluded.signature,
        ratio = coalesce(excluded.ratio, known.ratio), ratio_at = coalesce(excluded.ratio_at, known.ratio_at),
        ratio_from = coalesce(excluded.ratio_from, known.ratio_from),
        rebuilt_at = excluded.rebuilt_at, bytes_after = excluded.bytes_after, gained = excluded.gained,
        fails = 0, not_before = null";
const FAILED: &str =
    "insert into brasa.care_indexes as known (schema_name, index_name, signature, fails, not_before)
    values ($1, $2, $3, 1, clock_timestamp() + make_interval(hours => $4::int))
    on conflict (schema_name, index_name) do update set fails = known.fails + 1,
        not_before = clock_timestamp() + make_interval(hours => least($4 * 2 ^ known.fails, $5)::int)";

/// Notes how a rebuild went: what the index is now, and what that gave back; or that it failed.
///
/// # Errors
/// What Postgres says.
pub(super) async fn remember(
    connection: &mut PgConnection,
    index: &Index,
    gained: Option<i64>,
) -> Result<(), sqlx::Error> {
    let Some(gained) = gained else {
        let query = sqlx::query(FAILED).bind(&index.schema).bind(&index.bare).bind(&index.signature);
        return query.bind(REST_HOURS).bind(REST_HOURS_MAX).execute(connection).await.map(drop);
    };
    let bytes = index.bytes().and_then(|bytes| i64::try_from(bytes).ok());
    let query = sqlx::query(REBUILT).bind(&index.schema).bind(&index.bare).bind(&index.signature);
    let query = query.bind(ratio(index)).bind(bytes).bind(gained);
    query.execute(connection).await.map(drop)
}
