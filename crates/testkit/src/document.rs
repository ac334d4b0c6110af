use std::collections::BTreeSet;

use chassis::http::Routes;
use serde_json::Value;

/// Checks that an API document tells of every public route, and of no other.
///
/// # Panics
/// With what only one of the two has.
pub fn tells_of_every_public_route(define: fn(&mut Routes), document: &Value) {
    let mut routes = Routes::default();
    define(&mut routes);
    let public = routes.list().into_iter().filter(|route| !route.private);
    let served: BTreeSet<_> = public
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    let paths = document.get("paths").and_then(Value::as_object);
    let operations = paths.into_iter().flatten().flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, _)| format!("{} {path}", method.to_uppercase()))
    });
    let told: BTreeSet<_> = operations.collect();
    let differences: Vec<_> = served.symmetric_difference(&told).collect();
    assert!(
        differences.is_empty(),
        "only served or only told of: {differences:?}"
    );
}
