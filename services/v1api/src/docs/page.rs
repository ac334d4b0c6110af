//! The document as a page: made here, with no script and nothing from another host.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

const STYLE: &str = "body{font:1rem/1.55 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\
    h2{margin-top:2.5rem;border-bottom:1px solid #d0d7de}details{margin:.4rem 0}summary{cursor:pointer}\
    code,pre{font:.9rem ui-monospace,monospace}pre{background:#f6f8fa;padding:.8rem;overflow:auto}\
    b.m{display:inline-block;width:4.5rem}td,th{text-align:left;padding:.15rem 1rem .15rem 0;vertical-align:top}\
    @media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}pre{background:#161b22}}";

/// Text between tags and in attributes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The whole page.
pub(super) fn render(document: &Value) -> String {
    let info = document.get("info").unwrap_or(&Value::Null);
    let title = escaped(text(info, "title"));
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><h1>{title}</h1><p>{}</p><p>As data: <a href=\"/openapi.json\">/openapi.json</a></p>",
        escaped(text(info, "description")),
    );
    for (tag, operations) in by_tag(document) {
        // Writing to a string can't fail.
        let _written = write!(html, "<h2 id=\"{0}\">{0}</h2>", escaped(tag));
        for (path, method, operation) in operations {
            operation_to(&mut html, path, method, operation);
        }
    }
    html.push_str("<h2>Schemas</h2>");
    let schemas = document
        .pointer("/components/schemas")
        .and_then(Value::as_object);
    for (name, schema) in schemas.into_iter().flatten() {
        let name = escaped(name);
        let _written = write!(
            html,
            "<details id=\"schema-{name}\"><summary><code>{name}</code></summary>{}</details>",
            json(schema)
        );
    }
    html.push_str("</body></html>");
    html
}

type Operations<'a> = Vec<(&'a str, &'a str, &'a Value)>;

fn by_tag(document: &Value) -> BTreeMap<&str, Operations<'_>> {
    let mut tags: BTreeMap<&str, Operations<'_>> = BTreeMap::new();
    let paths = document.get("paths").and_then(Value::as_object);
    for (path, operations) in paths.into_iter().flatten() {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            if let Some(tag) = operation.pointer("/tags/0").and_then(Value::as_str) {
                tags.entry(tag).or_default().push((path, method, operation));
            }
        }
    }
    tags
}

fn operation_to(html: &mut String, path: &str, method: &str, operation: &Value) {
    let _written = write!(
        html,
        "<details><summary><b class=\"m\">{}</b> <code>{}</code> {}</summary>",
        escaped(&method.to_uppercase()),
        escaped(path),
        escaped(text(operation, "summary")),
    );
    let _written = write!(html, "<p>{}</p>", escaped(text(operation, "description")));
    let parameters = operation
        .get("parameters")
        .and_then(Value::as_array)
        .filter(|list| !list.is_empty());
    if let Some(parameters) = parameters {
        html.push_str("<table><tr><th>Parameter</th><th>In</th><th></th></tr>");
        for parameter in parameters {
            let _written = write!(
                html,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                escaped(text(parameter, "name")),
                escaped(text(parameter, "in")),
                escaped(text(parameter, "description")),
            );
        }
        html.push_str("</table>");
    }
    if let Some(body) = operation.pointer("/requestBody/content/application~1json/schema") {
        let _written = write!(html, "<p>Body</p>{}", json(body));
    }
    html.push_str("<table><tr><th>Status</th><th></th></tr>");
    for (status, response) in operation
        .get("responses")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let description = escaped(text(response, "description"));
        let _written = write!(
            html,
            "<tr><td>{}</td><td>{description}</td></tr>",
            escaped(status)
        );
    }
    html.push_str("</table></details>");
}

fn json(value: &Value) -> String {
    format!(
        "<pre>{}</pre>",
        escaped(&serde_json::to_string_pretty(value).unwrap_or_default())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_document_says_is_text_on_the_page() {
        let document = serde_json::json!({
            "info": {"title": "<script>alert(1)</script>"},
            "paths": {"/x\"": {"get": {"tags": ["a'b"], "summary": "<img>", "responses": {"200": {"description": "&"}}}}},
        });
        let page = render(&document);
        assert!(
            !page.contains("<script>") && !page.contains("<img>"),
            "{page}"
        );
        assert!(
            page.contains("&lt;img&gt;") && page.contains("/x&quot;") && page.contains("a&#39;b"),
            "{page}"
        );
    }
}
