//! The whole table, against what is served.

use chassis::http::RouteInfo;
use chassis::platform::{Platform, SERVICES};
use testkit::on_both_backends;

use super::internal_table::{EVERYWHERE, INTERNAL};
use super::policy::Row;
use super::public_table::{
    ACCOUNT_ROUTES, AUTH, BY_GITHUB, ENDS, GATEWAY, GITHUB, MAIL, PREVIEWS, PROJECT_ROUTES, REALMS,
    SESSIONS, VERTE, WEBHOOK_ROUTES,
};
use crate::harness::{InProcess, client};

/// Every row, in the order in which the right callers call.
pub(super) fn rows() -> Vec<Row> {
    let public = [
        AUTH,
        SESSIONS,
        MAIL,
        BY_GITHUB,
        VERTE,
        REALMS,
        PROJECT_ROUTES,
        PREVIEWS,
        WEBHOOK_ROUTES,
        GITHUB,
        GATEWAY,
        ACCOUNT_ROUTES,
        ENDS,
    ];
    let mut rows: Vec<Row> = public.into_iter().flatten().copied().collect();
    rows.extend(INTERNAL);
    for (service, _) in SERVICES {
        for row in EVERYWHERE {
            let row = Row { service, ..*row };
            if !rows.iter().any(|known| key(known) == key(&row)) {
                rows.push(row);
            }
        }
    }
    rows
}

fn key(row: &Row) -> (&str, bool, &str, &str) {
    (row.service, row.private, row.path, row.method)
}

/// What the services say that they serve, as rows would be titled.
pub(super) async fn served(platform: &Platform) -> Vec<String> {
    let mut served = Vec::new();
    for (service, address) in platform.directory().iter() {
        let url = format!("{}/internal/routes", address.private);
        let routes: Vec<RouteInfo> = client()
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert!(!routes.is_empty(), "{service}");
        for route in routes {
            let listener = if route.private { " (private)" } else { "" };
            served.push(format!(
                "{service}: {} {}{listener}",
                route.method, route.path
            ));
        }
    }
    served.sort();
    served
}

on_both_backends! {
    async fn every_route_that_is_served_has_one_row_and_every_row_is_served(backend: Backend) {
        let up = InProcess::on(&backend, &[]).await;
        let mut expected: Vec<_> = rows().iter().map(Row::title).collect();
        expected.sort();
        let served = served(&up.platform).await;
        let missing: Vec<_> = served.iter().filter(|route| !expected.contains(route)).collect();
        let gone: Vec<_> = expected.iter().filter(|row| !served.contains(row)).collect();
        assert!(missing.is_empty(), "say in the table who may call these: {missing:#?}");
        assert!(gone.is_empty(), "these are served no more: {gone:#?}");
        assert_eq!(expected, served, "a row stands twice");
        up.platform.stop().await;
    }
}
