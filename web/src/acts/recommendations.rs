//! What reviews of the database recommend, and what nobody wants to hear of.

use brasa_jobs::database::review::store::{self, Kept};
use serde_json::json;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;

use super::Actor;
use crate::desk::Desk;
use crate::error::Refused;
use crate::view::format;

/// What is recommended: what is open, or all that is known.
pub(crate) async fn list(desk: &Desk, all: bool) -> Result<Vec<Kept>, Refused> {
    Ok(store::list(&mut *tables(desk).await?, all).await?)
}

/// Says that nobody wants to hear of one.
pub(crate) async fn dismiss(desk: &Desk, fingerprint: &str, why: &str, actor: &Actor) -> Result<(), Refused> {
    if why.is_empty() {
        return Err(Refused::bad("a reason is needed", "whoever asks later reads it"));
    }
    let mut connection = tables(desk).await?;
    let before = known(&mut connection, fingerprint).await?;
    let detail = json!({ "rule": before.recommendation.rule, "object": before.recommendation.object,
        "reason": why, "dismissed": before.dismissed });
    actor.note(desk, "recommendation.dismiss", fingerprint, detail).await?;
    store::dismiss_as(&mut connection, fingerprint, Some(&actor.who.name), why).await?;
    Ok(())
}

/// Takes that back.
pub(crate) async fn reopen(desk: &Desk, fingerprint: &str, actor: &Actor) -> Result<(), Refused> {
    let mut connection = tables(desk).await?;
    let before = known(&mut connection, fingerprint).await?;
    let detail = json!({ "rule": before.recommendation.rule, "object": before.recommendation.object,
        "dismissed": before.dismissed });
    actor.note(desk, "recommendation.reopen", fingerprint, detail).await?;
    store::reopen(&mut connection, fingerprint).await?;
    Ok(())
}

async fn tables(desk: &Desk) -> Result<PoolConnection<Postgres>, Refused> {
    let Some(pool) = &desk.pool else {
        return Err(Refused::away("no address of Postgres was given", "set DATABASE_URL"));
    };
    let mut connection = pool.acquire().await?;
    match store::obstacle(&mut connection).await? {
        None => Ok(connection),
        Some((why, help)) => Err(Refused::away(why, help)),
    }
}

async fn known(connection: &mut PoolConnection<Postgres>, fingerprint: &str) -> Result<Kept, Refused> {
    let kept = store::list(&mut *connection, true).await?.into_iter();
    let found = kept.into_iter().find(|kept| kept.fingerprint == fingerprint);
    found.ok_or_else(|| {
        let message = format!("there is no recommendation `{}`", format::short(fingerprint, 40));
        Refused::absent(message, "`brasa db review` looks anew")
    })
}
