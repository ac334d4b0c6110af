//! The API document of the whole platform, as the gateway shows it.

use serde_json::Value;
use testkit::{expect, on_both_backends};

use super::policy::{Policy, Row};
use super::table::rows;
use crate::harness::{InProcess, client};

fn title(row: &Row) -> String {
    format!("{} {}", row.method, row.path)
}

/// Whether an operation says of itself that it needs no token.
fn is_said_to_be_open(operation: &Value) -> bool {
    operation["security"] == serde_json::json!([{}])
}

on_both_backends! {
    async fn every_public_route_is_documented_and_every_documented_one_is_served(backend: Backend) {
        let up = InProcess::on(&backend, &[]).await;
        let document = expect(200, client().get(format!("{}/openapi.json", up.url))).await;
        let mut documented: Vec<(String, &Value)> = Vec::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                documented.push((format!("{} {path}", method.to_uppercase()), operation));
            }
        }
        let rows = rows();
        let public: Vec<_> = rows.iter().filter(|row| !row.private).collect();
        for row in &public {
            let promised = row.path.starts_with("/v1/") || row.path.starts_with("/auth/");
            let found = documented.iter().find(|(name, _)| *name == title(row));
            assert!(found.is_some() || !promised, "{} is not documented", row.title());
            if let Some((name, operation)) = found {
                let open = matches!(row.policy, Policy::Open | Policy::Secret);
                assert_eq!(is_said_to_be_open(operation), open, "whether {name} needs a token: {}", operation["security"]);
            }
        }
        for (name, _) in &documented {
            assert!(public.iter().any(|row| title(row) == *name), "{name} is documented and not served");
        }
        up.platform.stop().await;
    }
}
