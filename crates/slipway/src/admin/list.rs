//! Lists, page by page.

use serde_json::Value;

use crate::api::Api;

/// Reads a list, whose entries stand under `name`, page by page until `limit` or its end.
pub(super) async fn all_of(
    api: &Api,
    path: &str,
    filter: &[(&str, Option<String>)],
    name: &str,
    limit: usize,
) -> anyhow::Result<Vec<Value>> {
    let mut entries = Vec::new();
    let mut after: Option<String> = None;
    while entries.len() < limit {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &(limit - entries.len()).min(100).to_string());
        let given = filter
            .iter()
            .filter_map(|(key, value)| Some((*key, value.as_deref()?)));
        query.extend_pairs(given);
        query.extend_pairs(after.as_deref().map(|after| ("after", after)));
        let mut page: Value = api.get(&format!("{path}?{}", query.finish())).await?;
        if let Some(Value::Array(found)) = page.get_mut(name).map(Value::take) {
            entries.extend(found);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    Ok(entries)
}

/// A member's text; what isn't there is nothing.
pub(super) fn text(value: &Value, member: &str) -> String {
    match value.get(member) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}
