//! Everything that Redis holds of a world, for tests that look for what must not be there.

use crate::World;

impl World {
    /// The names and the contents of all keys of this world, as text.
    ///
    /// # Panics
    /// Redis does not answer.
    pub async fn all_of_redis(&self) -> String {
        let keys: Vec<String> = self.redis(redis::cmd("KEYS").arg(format!("*{}*", self.prefix))).await;
        let mut all = keys.join("\n");
        for key in keys {
            let kind: String = self.redis(redis::cmd("TYPE").arg(&key)).await;
            let command = match kind.as_str() {
                "hash" => redis::cmd("HGETALL").arg(&key).clone(),
                "list" => redis::cmd("LRANGE").arg(&key).arg(0).arg(-1).clone(),
                "set" => redis::cmd("SMEMBERS").arg(&key).clone(),
                "zset" => redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).clone(),
                "stream" => redis::cmd("XRANGE").arg(&key).arg("-").arg("+").clone(),
                _ => redis::cmd("GET").arg(&key).clone(),
            };
            let value: redis::Value = self.redis(&command).await;
            let mut texts = Vec::new();
            flatten(&value, &mut texts);
            all += &texts.join("\n");
        }
        all
    }
}

fn flatten(value: &redis::Value, texts: &mut Vec<String>) {
    match value {
        redis::Value::BulkString(bytes) => texts.push(String::from_utf8_lossy(bytes).into_owned()),
        redis::Value::Array(values) | redis::Value::Set(values) => {
            for value in values {
                flatten(value, texts);
            }
        }
        redis::Value::Map(pairs) => pairs.iter().for_each(|(key, value)| {
            flatten(key, texts);
            flatten(value, texts);
        }),
        _ => {}
    }
}
