//! Documents come from services, paths from their callers: an endpoint is one of the few that the
//! document names, or a path without ids.

use serde_json::Value;

use super::folded;
use super::templates::Templates;

const DOCUMENTS: &[&[u8]] = &[
    br#"{"openapi":"3.1.0","paths":{"/":{},"/orders":{},"/orders/{id}":{},"/orders/mine":{},"/a/{b}/c":{}}}"#,
    br#"{"servers":[{"url":"https://shop.example/v2/"}],"paths":{"/files/{name}.json":{},"/{a}/{b}":{}}}"#,
    br#"{"servers":[{"url":"/api"}],"paths":{"/orders/{id}/items/{item}":{"get":[1,2]},"x":null}}"#,
];

const PATHS: &[&[u8]] = &[
    b"/v1/accounts/acc_01h455vb4pex5vsknk084sn02q/projects",
    b"/orders/4711/items/0",
    b"/x/0af7651916cd43dd8448eb211c80319c",
    b"/x/123e4567-e89b-12d3-a456-426614174000/y",
    b"/people/ada%40example.com",
    b"/orders/mine",
];

const WORDS: &[&[u8]] = &[
    b"/",
    b"//",
    b"{",
    b"}",
    b"{id}",
    b"\"",
    b"\",\"",
    b"orders",
    b"mine",
    b"%2f",
    b"_",
    b":id",
    b"..",
    b"[",
    b"]",
    b"12345678",
    b"\"/orders/{id}\":{},",
    b"\"/{x}\":{},",
];

/// Whether a path is of a template, by its segments.
fn fits(template: &str, path: &str) -> bool {
    let (parts, segments) = (template.split('/'), path.split('/'));
    template.split('/').count() == path.split('/').count()
        && parts
            .zip(segments)
            .all(|(part, segment)| part == segment || (part.contains('{') && !segment.is_empty()))
}

/// A document as another reader sees it; none where that one sees none, since what isn't of interest
/// here is passed over without being looked at.
fn document(bytes: &[u8]) -> Option<(Templates, Value)> {
    Some((
        Templates::parse(bytes)?,
        serde_json::from_slice(bytes).ok()?,
    ))
}

/// What a document calls its paths.
fn keys(document: &Value) -> Vec<&String> {
    document["paths"].as_object().unwrap().keys().collect()
}

#[test]
fn an_endpoint_is_one_that_the_document_names_and_the_path_fits() {
    fuzz::check(DOCUMENTS, WORDS, |input| {
        let Some((templates, document)) = document(&input.bytes) else {
            return;
        };
        let keys = keys(&document);
        for path in PATHS.iter().map(|path| std::str::from_utf8(path).unwrap()) {
            for path in [path.to_owned(), format!("/api{path}"), format!("/v2{path}")] {
                let Some(found) = templates.find(&path) else {
                    continue;
                };
                assert!(fits(found, &path), "{found} for {path}");
                assert!(
                    keys.iter().any(|key| found.ends_with(key.as_str())),
                    "{found}"
                );
            }
        }
    });
}

#[test]
fn every_template_of_a_document_is_found_by_paths_of_it() {
    fuzz::check(DOCUMENTS, WORDS, |input| {
        let Some((templates, document)) = document(&input.bytes) else {
            return;
        };
        if document.get("servers").is_some() {
            return;
        }
        for key in keys(&document) {
            if !key.starts_with('/') || key.len() > 200 || key.split('/').count() > 32 {
                continue;
            }
            // A parameter as one that no word can be.
            let fill = |part: &str| {
                if part.contains('{') {
                    "\u{1}".to_owned()
                } else {
                    part.to_owned()
                }
            };
            let path = key.split('/').map(fill).collect::<Vec<_>>().join("/");
            let found = templates
                .find(&path)
                .expect("a path of a template is of some template");
            assert!(fits(found, &path) && fits(key, &path), "{found} for {key}");
        }
    });
}

#[test]
fn a_path_is_folded_once_and_keeps_its_shape() {
    fuzz::check(PATHS, WORDS, |input| {
        let path = input.text();
        let endpoint = folded(&path);
        assert_eq!(folded(&endpoint), endpoint);
        if path.len() > 200 {
            assert_eq!(endpoint, crate::usage::OTHER);
            return;
        }
        let (segments, parts) = (path.split('/'), endpoint.split('/'));
        assert_eq!(segments.clone().count(), parts.clone().count());
        for (segment, part) in segments.zip(parts) {
            assert!(part == segment || part == ":id", "{segment} as {part}");
            assert!(!part.contains(['%', '@']), "{part} may be somebody's");
        }
    });
}
