//! Errors as clients of a Medusa server know them: under `/auth/…` a problem's `type` is the
//! slug that Medusa gives.

use chassis::http::ApiError;
use common::page::PageQuery;
use common::problem::Problem;

crate::worded::worded_extractor! {
    /// An extractor whose refusals carry Medusa's slugs.
    Medusa, slugged
}

/// The same error with Medusa's slug as its `type`.
#[must_use]
pub fn slugged(error: ApiError) -> ApiError {
    error.map_problem(|problem| match slug(&problem) {
        Some(slug) => problem.with_type(slug),
        None => problem,
    })
}

/// `not_allowed` where a rule says no, for Medusa has no status of its own for that.
fn slug(problem: &Problem) -> Option<&'static str> {
    match problem.status {
        _ if problem.code == "not_allowed" => Some("not_allowed"),
        401 => Some("unauthorized"),
        403 | 429 => Some("not_allowed"),
        404 => Some("not_found"),
        409 => Some("conflict"),
        400..500 => Some("invalid_data"),
        _ => None,
    }
}

/// The id that a page's cursor names.
pub fn cursor<T: std::str::FromStr>(page: &PageQuery) -> Result<Option<T>, ApiError> {
    let parsed = page.after.as_deref().map(str::parse).transpose();
    parsed.map_err(|_invalid| {
        slugged(Problem::invalid_field("after", "is no cursor of this list").into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_slug_and_our_own_failures_keep_our_type() {
        let kind = |problem: Problem| slugged(problem.into()).problem().kind.clone();
        assert_eq!(
            kind(Problem::unauthorized()).as_deref(),
            Some("unauthorized")
        );
        assert_eq!(
            kind(Problem::bad_request("not_allowed", "x")).as_deref(),
            Some("not_allowed")
        );
        assert_eq!(
            kind(Problem::bad_request("invalid_json", "x")).as_deref(),
            Some("invalid_data")
        );
        assert_eq!(
            kind(Problem::invalid_field("x", "y")).as_deref(),
            Some("invalid_data")
        );
        assert_eq!(kind(Problem::not_found("x")).as_deref(), Some("not_found"));
        assert_eq!(kind(Problem::internal()), None);
    }
}
