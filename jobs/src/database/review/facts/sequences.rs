//! Sequences, and the columns that they fill: whichever of the two ends first counts.

use sqlx::{PgConnection, Row as _};

/// A sequence with a column that it fills.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "so the catalogue says")]
pub struct Sequence {
    /// As it is written in SQL.
    pub name: String,
    /// Its type, as it is written in SQL.
    pub kind: String,
    /// The last number that it gave; none where it has given none.
    pub last: Option<i64>,
    /// The role may not look, or somebody has locked it.
    pub is_hidden: bool,
    /// The lowest number, and where it ends.
    pub ends: (i64, i64),
    /// It counts down.
    pub is_falling: bool,
    /// It begins again at its end.
    pub is_circular: bool,
    /// The table that it fills, as it is written in SQL.
    pub table: Option<String>,
    /// Its column, as it is written in SQL.
    pub column: Option<String>,
    /// The column is inherited, as that of a partition is: it is changed with the table above, and told with it.
    pub is_inherited: bool,
    /// The type of that, as it is written in SQL.
    pub column_kind: Option<String>,
    /// The column is `generated as identity`, so its sequence follows its type.
    pub is_identity: bool,
}

impl Sequence {
    /// The last number that sequence and column can take.
    pub fn end(&self) -> i64 {
        let most = match self.column_kind.as_deref() {
            Some("smallint") => i64::from(i16::MAX),
            Some("integer") => i64::from(i32::MAX),
            _ => i64::MAX,
        };
        if self.is_falling { self.ends.0.max(most.saturating_neg()) } else { self.ends.1.min(most) }
    }

    /// How many numbers are left.
    pub fn left(&self) -> i64 {
        let last = self.last.unwrap_or(if self.is_falling { self.ends.1 } else { self.ends.0 });
        let (from, to) = if self.is_falling { (self.end(), last) } else { (last, self.end()) };
        to.saturating_sub(from).max(0)
    }

    /// How much of it is used up, between 0 and 1.
    pub fn used(&self) -> f64 {
        let Some(last) = self.last else { return 0.0 };
        let from = if self.is_falling { self.ends.1 } else { self.ends.0 };
        let (done, all) = (i128::from(last) - i128::from(from), i128::from(self.end()) - i128::from(from));
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        if all == 0 { 1.0 } else { done as f64 / all as f64 }
    }
}

/// A sequence belongs to a column, or is only named by its default.
const SEQUENCES: &str = "
    /* brasa */ with locked as materialized (
        select relation from pg_locks where locktype = 'relation' and mode = 'AccessExclusiveLock'
            and pid <> pg_backend_pid()
          and database = (select oid from pg_database where datname = current_database())
    ), fills as (
        select objid as sequence, refobjid as relation, refobjsubid as number from pg_depend
        where classid = 'pg_class'::regclass and refclassid = 'pg_class'::regclass and deptype in ('a', 'i')
            and refobjsubid > 0
        union
        select d.refobjid, f.adrelid, f.adnum from pg_depend d join pg_attrdef f on f.oid = d.objid
        where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid <> f.adrelid
    ), seen as (
        select s.*, c.relname, n.nspname, coalesce(has_sequence_privilege(c.oid, 'select'), false) and not exists (
            select from locked where relation = c.oid)
            and (not pg_is_in_recovery() or c.relpersistence = 'p') as is_seen
        from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace
        where n.nspname not in ('information_schema', 'brasa') and n.nspname !~ '^pg_' and c.relpersistence <> 't'
    )
    select format('%I.%I', s.nspname, s.relname) as name, format_type(s.seqtypid, null) as kind,
        case when s.is_seen then pg_sequence_last_value(s.seqrelid) end as last, not s.is_seen as is_hidden,
        s.seqmin as least, s.seqmax as most, s.seqincrement < 0 as is_falling, s.seqcycle as is_circular,
        format('%I.%I', tn.nspname, t.relname) as table, quote_ident(a.attname) as column,
            t.oid is not null as has_table,
        format_type(a.atttypid, null) as column_kind, coalesce(a.attidentity <> '', false) as is_identity,
        coalesce(t.relispartition or a.attinhcount > 0, false) as is_inherited
    from seen s
    left join fills f on f.sequence = s.seqrelid
    left join pg_class t on t.oid = f.relation and t.relkind in ('r', 'p')
    left join pg_namespace tn on tn.oid = t.relnamespace
    left join pg_attribute a on a.attrelid = t.oid and a.attnum = f.number
    order by 1, 9";

/// The application's sequences. One that fills two columns is there twice.
pub(in crate::database::review) async fn sequences(
    connection: &mut PgConnection,
) -> Result<Vec<Sequence>, sqlx::Error> {
    let rows = sqlx::query(SEQUENCES).fetch_all(connection).await?;
    let sequence = |row: &sqlx::postgres::PgRow| -> Result<Sequence, sqlx::Error> {
        let table: String = row.try_get("table")?;
        let has_table: bool = row.try_get("has_table")?;
        Ok(Sequence {
            name: row.try_get("name")?,
            kind: row.try_get("kind")?,
            last: row.try_get("last")?,
            is_hidden: row.try_get("is_hidden")?,
            ends: (row.try_get("least")?, row.try_get("most")?),
            is_falling: row.try_get("is_falling")?,
            is_circular: row.try_get("is_circular")?,
            table: Some(table).filter(|_| has_table),
            column: row.try_get("column")?,
            is_inherited: row.try_get("is_inherited")?,
            column_kind: row.try_get("column_kind")?,
            is_identity: row.try_get("is_identity")?,
        })
    };
    rows.iter().map(sequence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_column_may_end_before_its_sequence() {
        let sequence = Sequence {
            last: Some(1_932_735_283),
            ends: (1, i64::MAX),
            column_kind: Some("integer".to_owned()),
            ..Sequence::default()
        };
        assert!((sequence.used() - 0.9).abs() < 1e-6, "{}", sequence.used());
        assert!(Sequence { column_kind: Some("bigint".to_owned()), ..sequence.clone() }.used() < 1e-6);
        assert!(Sequence { last: None, ..sequence.clone() }.used() < 1e-6);
        let falling = Sequence { last: Some(-90), ends: (-101, -1), is_falling: true, ..Sequence::default() };
        assert_eq!((sequence.left(), falling.left()), (214_748_364, 11));
        assert!((falling.used() - 0.89).abs() < 1e-6, "{}", falling.used());
    }
}
