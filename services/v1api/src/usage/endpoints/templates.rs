//! The templates of an OpenAPI document, as a tree by segments.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;

use crate::usage::store::MOST_ENDPOINTS;

/// The longest template, in bytes.
const LONGEST: usize = 200;
/// How many segments a template has at most.
const DEEPEST: usize = 32;

/// What there is of a document.
#[derive(Deserialize)]
#[expect(
    clippy::zero_sized_map_values,
    reason = "a JSON object is no set, and what its values are is passed over"
)]
struct Document {
    // In order, so that of too many the same ones are left out everywhere.
    paths: BTreeMap<String, IgnoredAny>,
    #[serde(default)]
    servers: Vec<Server>,
}

#[derive(Deserialize)]
struct Server {
    #[serde(default)]
    url: String,
}

/// A service's templates.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Templates(Node);

#[derive(Debug, Default, PartialEq, Eq)]
struct Node {
    words: HashMap<String, Node>,
    parameter: Option<Box<Node>>,
    template: Option<String>,
}

impl Templates {
    /// Those of a document in JSON; `None` if it is none, or names no path.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(json).ok()?;
        let prefix = document.servers.first().map_or(String::new(), prefix);
        let mut templates = Self::default();
        let most = usize::try_from(MOST_ENDPOINTS).unwrap_or(usize::MAX);
        let paths = document.paths.into_keys();
        let names = paths.map(|path| format!("{prefix}{path}"));
        let mut number = 0;
        for name in names.filter(|name| is_template(name)).take(most) {
            templates.add(name);
            number += 1;
        }
        (number > 0).then_some(templates)
    }

    fn add(&mut self, template: String) {
        let mut node = &mut self.0;
        for segment in template.split('/') {
            node = if segment.contains('{') {
                node.parameter.get_or_insert_default()
            } else {
                node.words.entry(segment.to_owned()).or_default()
            };
        }
        node.template = Some(template);
    }

    /// The template that a path is of. A word goes before a parameter, as OpenAPI wants it.
    pub(super) fn find(&self, path: &str) -> Option<&str> {
        self.0.find(path)
    }
}

impl Node {
    fn find(&self, path: &str) -> Option<&str> {
        let (segment, rest) = path
            .split_once('/')
            .map_or((path, None), |(segment, rest)| (segment, Some(rest)));
        let parameter = self.parameter.as_deref().filter(|_| !segment.is_empty());
        let nodes = self.words.get(segment).into_iter().chain(parameter);
        let mut found = nodes.filter_map(|node| match rest {
            Some(rest) => node.find(rest),
            None => node.template.as_deref(),
        });
        found.next()
    }
}

fn is_template(name: &str) -> bool {
    name.starts_with('/') && name.len() <= LONGEST && name.split('/').count() <= DEEPEST
}

/// The path of a server's address, under which its paths are.
fn prefix(server: &Server) -> String {
    let path = if server.url.starts_with('/') {
        server.url.clone()
    } else {
        let url = Url::parse(&server.url);
        url.map_or_else(|_none| String::new(), |url| url.path().to_owned())
    };
    path.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(document: &serde_json::Value) -> Option<Templates> {
        Templates::parse(document.to_string().as_bytes())
    }

    #[test]
    fn a_path_is_of_the_template_that_says_most() {
        let templates = parse(&json!({
            "openapi": "3.1.0",
            "paths": {
                "/": {}, "/orders": {}, "/orders/{id}": {}, "/orders/mine": {}, "/orders/{id}/items/{item}": {},
                "/orders/mine/bills": {}, "/files/{name}.json": {}, "no-path": {},
            },
        }))
        .unwrap();
        for (path, template) in [
            ("/", Some("/")),
            ("/orders", Some("/orders")),
            ("/orders/4711", Some("/orders/{id}")),
            ("/orders/mine", Some("/orders/mine")),
            ("/orders/mine/items/3", Some("/orders/{id}/items/{item}")),
            ("/orders/mine/bills", Some("/orders/mine/bills")),
            ("/files/a.json", Some("/files/{name}.json")),
            ("/orders/", None),
            ("/orders/4711/items", None),
            ("/people", None),
            ("/no-path", None),
        ] {
            assert_eq!(templates.find(path), template, "{path}");
        }
        // However long a path is, no more is looked at than there are templates.
        assert_eq!(templates.find(&"/orders".repeat(50_000)), None);
    }

    #[test]
    fn the_servers_path_goes_before() {
        for (server, path) in [
            ("/api/", "/api/x"),
            ("https://shop.example/v2", "/v2/x"),
            ("https://shop.example", "/x"),
            ("", "/x"),
        ] {
            let document = json!({ "servers": [{ "url": server }], "paths": { "/x": {} } });
            assert_eq!(parse(&document).unwrap().find(path), Some(path), "{server}");
        }
    }

    #[test]
    fn what_is_no_document_has_no_templates_and_too_many_are_left_out() {
        for none in [
            json!({}),
            json!([]),
            json!({ "paths": [] }),
            json!({ "paths": {} }),
            json!({ "paths": { "x": {} } }),
        ] {
            assert_eq!(parse(&none), None, "{none}");
        }
        assert_eq!(Templates::parse(b"<html>"), None);
        let paths: serde_json::Map<_, _> = (0..1_500)
            .map(|number| (format!("/{number:04}"), json!({})))
            .collect();
        let templates = parse(&json!({ "paths": paths })).unwrap();
        assert_eq!(templates.find("/0999"), Some("/0999"));
        assert_eq!(templates.find("/1000"), None);
    }
}
