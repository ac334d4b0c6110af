//! Puts API documents together.

use serde_json::{Map, Value, json};

const METHODS: &[&str] = &[
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Adds the services' documents to the gateway's. Two schemas of one name that aren't alike are told
/// apart by their services' names.
pub(super) fn merge(mut base: Value, parts: Vec<(&str, Value)>) -> Value {
    tag(&mut base, "v1api");
    for (service, mut part) in parts {
        tag(&mut part, service);
        rename_schemas(&base, service, &mut part);
        add(&mut base, &["paths"], part.get("paths"));
        for kind in ["schemas", "responses", "parameters", "securitySchemes"] {
            add(
                &mut base,
                &["components", kind],
                part.pointer(&format!("/components/{kind}")),
            );
        }
    }
    base
}

/// Adds members that aren't there yet below a place, which is made if need be.
fn add(base: &mut Value, place: &[&str], members: Option<&Value>) {
    let Some(members) = members.and_then(Value::as_object) else {
        return;
    };
    let mut target = base;
    for segment in place {
        let Some(object) = target.as_object_mut() else {
            return;
        };
        target = object
            .entry((*segment).to_owned())
            .or_insert_with(|| json!({}));
    }
    let Some(target) = target.as_object_mut() else {
        return;
    };
    for (name, value) in members {
        match target.get_mut(name) {
            // One path can have methods in two documents.
            Some(Value::Object(known)) if place == ["paths"] => join(known, value),
            Some(_) => {}
            None => {
                target.insert(name.clone(), value.clone());
            }
        }
    }
}

fn join(known: &mut Map<String, Value>, more: &Value) {
    for (name, value) in more.as_object().into_iter().flatten() {
        known.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

/// Gives operations without a tag their service's name as one.
fn tag(document: &mut Value, service: &str) {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else {
        return;
    };
    for operations in paths.values_mut().filter_map(Value::as_object_mut) {
        for (_, operation) in operations
            .iter_mut()
            .filter(|(method, _)| METHODS.contains(&method.as_str()))
        {
            if let Some(operation) = operation.as_object_mut() {
                operation.entry("tags").or_insert_with(|| json!([service]));
            }
        }
    }
}

fn rename_schemas(base: &Value, service: &str, part: &mut Value) {
    let Some(own) = part
        .pointer("/components/schemas")
        .and_then(Value::as_object)
    else {
        return;
    };
    let known = base.pointer("/components/schemas");
    let differs = |(name, schema): &(&String, &Value)| {
        known
            .and_then(|known| known.get(*name))
            .is_some_and(|other| other != *schema)
    };
    let names: Vec<String> = own
        .iter()
        .filter(differs)
        .map(|(name, _)| name.clone())
        .collect();
    for name in names {
        let renamed = format!("{service}.{name}");
        if let Some(schemas) = part
            .pointer_mut("/components/schemas")
            .and_then(Value::as_object_mut)
            && let Some(schema) = schemas.remove(&name)
        {
            schemas.insert(renamed.clone(), schema);
        }
        point_to(
            part,
            &format!("#/components/schemas/{name}"),
            &format!("#/components/schemas/{renamed}"),
        );
    }
}

/// Changes every reference to one place into one to another.
fn point_to(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name == "$ref" && member.as_str() == Some(from) {
                    *member = Value::from(to);
                } else {
                    point_to(member, from, to);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| point_to(item, from, to)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_together_and_schemas_of_one_name_stay_apart() {
        let operation = |schema: &str| json!({"responses": {"200": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}}});
        let base = json!({"paths": {"/a": {"get": operation("View")}}, "components": {"schemas": {"View": {"type": "object"}}}});
        let part = json!({
            "paths": {"/a": {"post": operation("View")}, "/b": {"get": operation("Same")}},
            "components": {"schemas": {"View": {"type": "string"}, "Same": {"type": "integer"}}},
        });
        let merged = merge(base, vec![("account", part)]);
        assert_eq!(merged["paths"]["/a"]["get"]["tags"], json!(["v1api"]));
        assert_eq!(merged["paths"]["/a"]["post"]["tags"], json!(["account"]));
        let reference = merged
            .pointer("/paths/~1a/post/responses/200/schema/$ref")
            .unwrap();
        assert_eq!(reference, "#/components/schemas/account.View");
        assert_eq!(merged["components"]["schemas"]["View"]["type"], "object");
        assert_eq!(
            merged["components"]["schemas"]["account.View"]["type"],
            "string"
        );
        assert_eq!(
            merged
                .pointer("/paths/~1b/get/responses/200/schema/$ref")
                .unwrap(),
            "#/components/schemas/Same"
        );
    }
}
