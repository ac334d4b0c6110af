//! The `AsyncAPI` 3 document of all events, made from their types.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::all_schemas;

/// The document: one channel for each event type, with the envelope and the data's schema.
#[must_use]
pub fn asyncapi() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = SchemaGenerator::new(settings);
    let mut channels = Map::new();
    let mut operations = Map::new();
    let mut messages = Map::new();
    for (source, kind, data) in all_schemas(&mut generator) {
        let name = kind.trim_start_matches("dev.slipway.").replace('.', "_");
        messages.insert(name.clone(), message(source, kind, data.to_value()));
        channels.insert(
            name.clone(),
            json!({
                "address": kind,
                "messages": { name.clone(): { "$ref": format!("#/components/messages/{name}") } },
                "bindings": { "amqp": { "is": "routingKey", "exchange": exchange() } },
            }),
        );
        operations.insert(
            format!("send_{name}"),
            json!({ "action": "send", "channel": { "$ref": format!("#/channels/{name}") },
                    "summary": format!("Told by the {source} service") }),
        );
    }
    let schemas: Map<String, Value> = generator.take_definitions(true).into_iter().collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Slipway events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What Slipway's services tell one another: CloudEvents 1.0 in JSON, on the \
                            topic exchange `slipway.events` of RabbitMQ (or inside the process). An event \
                            carries the whole state of its subject and the subject's version.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas },
    })
}

fn exchange() -> Value {
    json!({ "name": "slipway.events", "type": "topic", "durable": true, "autoDelete": false })
}

fn message(source: &str, kind: &str, data: Value) -> Value {
    json!({
        "name": kind,
        "contentType": "application/cloudevents+json",
        "payload": {
            "type": "object",
            "required": ["specversion", "id", "source", "subject", "time", "type", "data",
                         "datacontenttype", "schemaversion", "aggregateversion"],
            "properties": {
                "specversion": { "const": "1.0" },
                "id": { "type": "string", "pattern": "^evt_" },
                "source": { "const": format!("/slipway/{source}") },
                "subject": { "type": "string", "description": "The id of the aggregate" },
                "time": { "type": "string", "format": "date-time" },
                "type": { "const": kind },
                "datacontenttype": { "const": "application/json" },
                "schemaversion": { "const": 1 },
                "aggregateversion": { "type": "integer",
                    "description": "Of two events with one subject, the higher is news" },
                "traceparent": { "type": "string", "description": "W3C Trace Context" },
                "data": data,
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/asyncapi.json");

    #[test]
    fn the_published_document_is_true() {
        let made = serde_json::to_string_pretty(&asyncapi()).unwrap() + "\n";
        #[expect(
            clippy::disallowed_methods,
            reason = "a developer asks for the update by it"
        )]
        let update = std::env::var("SLIPWAY_TEST_UPDATE").is_ok();
        if update {
            std::fs::write(DOCUMENT, &made).unwrap();
        }
        let published = std::fs::read_to_string(DOCUMENT).unwrap_or_default();
        assert!(
            published == made,
            "docs/asyncapi.json is not what the types say: run `make docs`"
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = asyncapi();
        let mut open = vec![&document];
        while let Some(value) = open.pop() {
            match value {
                Value::Object(members) => {
                    if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                        let pointer = reference.trim_start_matches('#');
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    open.extend(members.values());
                }
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
    }
}
