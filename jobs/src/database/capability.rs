//! What a role may do here, and what would give it the rest.

use sqlx::{PgConnection, Row as _};

use super::rebuild::unsafe_server;

/// Something that database care does, and whether it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// What, for people.
    pub what: &'static str,
    /// Whether it can.
    pub standing: Standing,
}

/// Whether something can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It can.
    Well,
    /// It cannot, until somebody runs this.
    Missing(String),
    /// It can in part: this is what is withheld, or how it would be whole.
    Partly(String),
    /// It is not done here, for it would do harm.
    Unsafe(String),
}

const ABOUT: &str =
    "/* brasa */ select current_user::text as role, current_setting('server_version_num')::int as version,
    (select rolsuper from pg_roles where rolname = current_user) as is_super,
    pg_has_role('pg_read_all_stats', 'usage') as sees_sessions,
    case when exists (select from pg_roles where rolname = 'pg_read_all_data')
        then pg_has_role('pg_read_all_data', 'usage') else false end as reads_all,
    (select string_agg(distinct quote_ident(pg_get_userbyid(c.relowner)), ', ') from pg_class c
        join pg_namespace n on n.oid = c.relnamespace join pg_database d on d.datname = current_database()
        where c.relkind in ('r', 'm', 'p') and c.relpersistence <> 't' and n.nspname !~ '^pg_'
            and n.nspname not in ('information_schema', 'brasa')
            and not pg_has_role(c.relowner, 'usage') and not pg_has_role(d.datdba, 'usage')
            and not case when current_setting('server_version_num')::int >= 170000
                then has_table_privilege(c.oid, 'maintain') else false end) as owners,
    (select string_agg(distinct quote_ident(pg_get_userbyid(c.relowner)), ', ') from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'm', 'p') and c.relpersistence <> 't' and n.nspname !~ '^pg_'
            and n.nspname not in ('information_schema', 'brasa') and not pg_has_role(c.relowner, 'usage')) as index_owners,
    exists (select from pg_extension where extname = 'pg_stat_statements') as has_statements,
    (select setting like '%pg_stat_statements%' from pg_settings where name = 'shared_preload_libraries')
        as loads_statements,
    exists (select from pg_extension where extname = 'pgstattuple') as has_tuples,
    to_regclass('brasa.care_actions') is not null as has_ledger,
    current_setting('track_counts') = 'on' as counts, current_setting('autovacuum') = 'on' as has_autovacuum";

/// What this role may do here. Nothing is tried out.
///
/// # Errors
/// What Postgres says.
pub async fn capabilities(connection: &mut PgConnection) -> Result<Vec<Capability>, sqlx::Error> {
    let row = sqlx::query(ABOUT).fetch_one(connection).await?;
    let (role, version): (String, i32) = (row.try_get("role")?, row.try_get("version")?);
    let is_super: bool = row.try_get("is_super")?;
    let owners: Option<String> = row.try_get("owners")?;
    let index_owners: Option<String> = row.try_get("index_owners")?;
    let grants = |owners: Option<String>| {
        owners.map_or(Standing::Well, |owners| {
            Standing::Missing(if version >= 170_000 {
                format!("grant pg_maintain to {role}")
            } else {
                format!("grant {owners} to {role}")
            })
        })
    };
    let right = |has: bool, grant: String| if has { Standing::Well } else { Standing::Missing(grant) };
    let partly =
        |is_well: bool, why: &str| if is_well { Standing::Well } else { Standing::Partly(why.to_owned()) };
    // Who may maintain a table may rebuild its indexes, and not drop what is left of that.
    let owns = |owners: Option<String>| {
        owners.map_or(Standing::Well, |owners| Standing::Missing(format!("grant {owners} to {role}")))
    };
    let rebuilds = unsafe_server(version, is_super).map_or_else(|| owns(index_owners), Standing::Unsafe);
    let sees_columns = row.try_get::<bool, _>("reads_all")? || is_super || owners.is_none();
    let see = |what, standing| Capability { what, standing };
    Ok(vec![
        see("note what is done", right(row.try_get("has_ledger")?, "brasa migrate".to_owned())),
        see("analyze and vacuum every table", grants(owners)),
        see("rebuild every index", rebuilds),
        see(
            "see the statistics of every column",
            right(sees_columns, format!("grant pg_read_all_data to {role}")),
        ),
        see(
            "see what other sessions do",
            right(row.try_get("sees_sessions")?, format!("grant pg_monitor to {role}")),
        ),
        see(
            "see what statements cost",
            statements(row.try_get("has_statements")?, row.try_get("loads_statements")?),
        ),
        see(
            "read how full pages are",
            partly(row.try_get("has_tuples")?, "create extension pgstattuple: a second sign of waste"),
        ),
        see(
            "end what a dead worker began",
            partly(version >= 140_000, "before Postgres 14 it goes on until it is done"),
        ),
        see(
            "prove what was done",
            right(row.try_get("counts")?, "alter system set track_counts = on".to_owned()),
        ),
        see(
            "rely on autovacuum",
            partly(row.try_get("has_autovacuum")?, "autovacuum is off: alter system set autovacuum = on"),
        ),
    ])
}

fn statements(is_created: bool, is_loaded: Option<bool>) -> Standing {
    match (is_created, is_loaded) {
        (true, Some(false)) => Standing::Missing(
            "alter system set shared_preload_libraries = 'pg_stat_statements', and restart Postgres"
                .to_owned(),
        ),
        // Whether it is loaded is not for everybody to see.
        (true, _) => Standing::Well,
        (false, _) => Standing::Missing("create extension pg_stat_statements".to_owned()),
    }
}
