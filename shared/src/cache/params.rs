//! The parameters of a value: the texts that make its key, as one text.

/// The parameters as one text: a JSON array of texts, without blanks. `["JFK","2013-01-05"]`
pub fn params_of<T: AsRef<str>>(texts: &[T]) -> String {
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    // Texts are always JSON.
    serde_json::to_string(&texts).unwrap_or_default()
}

/// The texts that parameters are made of; numbers and truths count as their texts. Nothing where it is not a JSON
/// array of plain values.
pub fn texts_of(params: &str) -> Option<Vec<String>> {
    let values: Vec<serde_json::Value> = serde_json::from_str(params).ok()?;
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    };
    values.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_one_text_and_back() {
        let params = params_of(&["JFK", "a \"b\" ñ"]);
        assert_eq!(params, r#"["JFK","a \"b\" ñ"]"#);
        assert_eq!(texts_of(&params).unwrap(), ["JFK", "a \"b\" ñ"]);
        assert_eq!(texts_of("[7, true]").unwrap(), ["7", "true"]);
        for text in ["", "7", "{}", "[null]", "[[1]]", "[\"a\"", "[{}]"] {
            assert_eq!(texts_of(text), None, "{text}");
        }
    }
}
