//! Between a client and git: bytes in, bytes out, at the pace of the slower one.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use bytes::Bytes;
use chassis::http::ApiError;
use common::problem::Problem;
use futures_util::stream;
use tokio::sync::mpsc;

use super::body::Body;
use super::refusal::Refusal;
use crate::git::{Exchange, Input, Outcome};

/// How much git may say before the client has sent all; it hardly says anything then.
const MOST_EARLY: usize = 8 << 20;

/// Sends a body to git and answers what git says. The answer begins when the client has sent all,
/// since many clients and proxies can't read before that.
pub(super) async fn relay(
    exchange: Exchange,
    body: Body,
    content_type: &str,
) -> Result<HttpResponse, Refusal> {
    let Exchange {
        input,
        mut output,
        outcome,
    } = exchange;
    let mut early = Vec::new();
    let mut size = 0;
    let mut sending = std::pin::pin!(send(body, input));
    loop {
        tokio::select! {
            sent = &mut sending => {
                sent?;
                break;
            }
            chunk = output.recv() => match chunk {
                Some(chunk) => {
                    size += chunk.len();
                    early.push(chunk);
                    if size > MOST_EARLY {
                        return Err(not_understood("it answers before it was asked").into());
                    }
                }
                // Git was ended before the client had sent all.
                None => break,
            },
        }
    }
    answer(early, output, outcome, content_type).await
}

async fn send(mut body: Body, input: Input) -> Result<(), Refusal> {
    loop {
        let parts = body.next().await?;
        if parts.is_empty() {
            input.finish().await;
            return Ok(());
        }
        for part in parts {
            input.send(part).await;
        }
    }
}

/// Answers with what git has said and goes on to say. If it says nothing at all, how it ended
/// decides.
pub(super) async fn answer(
    mut early: Vec<Bytes>,
    mut output: mpsc::Receiver<Bytes>,
    outcome: tokio::sync::oneshot::Receiver<Outcome>,
    content_type: &str,
) -> Result<HttpResponse, Refusal> {
    let mut ended = false;
    if early.iter().all(Bytes::is_empty) {
        match output.recv().await {
            Some(first) => early.push(first),
            None => ended = true,
        }
    }
    if ended {
        match outcome.await {
            Ok(Outcome::Done) => {}
            Ok(Outcome::Failed(complaint)) => return Err(not_understood(&complaint).into()),
            Ok(Outcome::TooLong) => {
                return Err(
                    Problem::new(408, "took_too_long", "This took longer than it may.").into(),
                );
            }
            Ok(Outcome::Left) | Err(_) => return Err(ApiError::internal("git was ended").into()),
        }
    }
    let early = stream::iter(early.into_iter().map(Ok::<_, std::io::Error>));
    let rest = stream::unfold(output, async |mut output| {
        output.recv().await.map(|chunk| (Ok(chunk), output))
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CACHE_CONTROL, "no-cache, max-age=0, must-revalidate"))
        .streaming(futures_util::StreamExt::chain(early, rest)))
}

fn not_understood(complaint: &str) -> ApiError {
    let problem = Problem::bad_request("not_understood", "Git does not understand this request.");
    ApiError::caused(problem, complaint.to_owned())
}
