//! A request's body as it arrives: unpacked if it comes packed, and bounded.

#[cfg(test)]
mod fuzz;

use std::io::Write as _;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_ENCODING;
use actix_web::web::Payload;
use bytes::Bytes;
use chassis::http::ApiError;
use common::problem::Problem;
use flate2::write::GzDecoder;
use futures_util::StreamExt as _;

use super::refusal::Refusal;

/// How much is unpacked at once: what this becomes, at most a thousandfold, is held in memory.
const SLICE: usize = 2 << 10;

/// A body.
pub(super) struct Body {
    payload: Payload,
    unpack: Option<GzDecoder<Vec<u8>>>,
    limit: u64,
    seen: u64,
}

impl Body {
    /// The body of a request that may send `limit` bytes, counted unpacked.
    pub(super) fn new(
        request: &HttpRequest,
        payload: Payload,
        limit: u64,
    ) -> Result<Self, Refusal> {
        let encoding = request
            .headers()
            .get(CONTENT_ENCODING)
            .map(|value| value.to_str().unwrap_or("?"));
        let unpack = match encoding {
            None | Some("identity") => None,
            Some("gzip" | "x-gzip") => Some(GzDecoder::new(Vec::new())),
            Some(_) => {
                let detail = "The body can be packed by gzip, and not in another way";
                return Err(Problem::new(415, "unsupported_media_type", detail).into());
            }
        };
        Ok(Self {
            payload,
            unpack,
            limit,
            seen: 0,
        })
    }

    /// What arrives next; empty at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<Bytes>, Refusal> {
        while let Some(chunk) = self.payload.next().await {
            let chunk = chunk.map_err(|error| ApiError::caused(incomplete(), error))?;
            let parts = match &mut self.unpack {
                None => vec![chunk],
                Some(unpack) => unpacked(unpack, &chunk)?,
            };
            for part in &parts {
                self.seen = self
                    .seen
                    .saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
            }
            if self.seen > self.limit {
                let detail = format!(
                    "This is larger than the {} bytes that are taken here.",
                    self.limit
                );
                return Err(Problem::new(413, "body_too_large", detail).into());
            }
            if !parts.is_empty() {
                return Ok(parts);
            }
        }
        match self.unpack.take().map(GzDecoder::finish).transpose() {
            Ok(rest) => Ok(rest
                .filter(|rest| !rest.is_empty())
                .map(Bytes::from)
                .into_iter()
                .collect()),
            Err(error) => Err(ApiError::caused(incomplete(), error).into()),
        }
    }
}

fn incomplete() -> Problem {
    Problem::bad_request(
        "incomplete_body",
        "The request's body did not arrive whole.",
    )
}

fn unpacked(unpack: &mut GzDecoder<Vec<u8>>, chunk: &Bytes) -> Result<Vec<Bytes>, Refusal> {
    let mut parts = Vec::new();
    for slice in chunk.chunks(SLICE) {
        unpack.write_all(slice).map_err(|error| {
            ApiError::caused(
                Problem::bad_request("invalid_gzip", "The request's body is not what gzip makes."),
                error,
            )
        })?;
        let part = std::mem::take(unpack.get_mut());
        if !part.is_empty() {
            parts.push(Bytes::from(part));
        }
    }
    Ok(parts)
}
