//! Git over HTTP, by git's own `http-backend`, opened with an installation's token.

use std::process::Stdio;

use actix_web::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use actix_web::http::{StatusCode, header::WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt as _;

use super::app::Shared;
use super::lock;
use super::rest::{installed, opened};

fn password(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let basic = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let (user, password) = String::from_utf8(basic)
        .ok()?
        .split_once(':')
        .map(|(u, p)| (u.to_owned(), p.to_owned()))?;
    (user == "x-access-token").then_some(password)
}

/// `/{owner}/{repo}.git/…`
pub(super) async fn serve(
    state: Shared,
    request: HttpRequest,
    path: web::Path<(String, String, String)>,
    body: web::Bytes,
) -> HttpResponse {
    let (owner, name, rest) = path.into_inner();
    if !matches!(rest.as_str(), "info/refs" | "git-upload-pack") {
        return HttpResponse::Forbidden().finish();
    }
    let unauthorized = || {
        HttpResponse::Unauthorized()
            .insert_header((WWW_AUTHENTICATE, "Basic realm=\"GitHub\""))
            .body("Repository not found.")
    };
    let directory = {
        let state = lock(&state);
        let found = installed(&state, password(&request).as_deref())
            .and_then(|token| opened(&state, &token, (&owner, &name), ("contents", "read")));
        match found {
            Ok(found) => found.directory,
            Err(_) => return unauthorized(),
        }
    };
    let text = |name: &HeaderName| {
        let value = request.headers().get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let mut command = tokio::process::Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &directory)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", format!("/{rest}"))
        .env("QUERY_STRING", request.query_string())
        .env("REQUEST_METHOD", request.method().as_str())
        .env("CONTENT_TYPE", text(&CONTENT_TYPE))
        .env("HTTP_CONTENT_ENCODING", text(&CONTENT_ENCODING))
        .env(
            "GIT_PROTOCOL",
            text(&HeaderName::from_static("git-protocol")),
        )
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    match answered(command, &body).await {
        Some(response) => response,
        None => HttpResponse::InternalServerError().finish(),
    }
}

/// Runs a CGI program (RFC 3875) and makes what it prints an answer.
async fn answered(mut command: tokio::process::Command, body: &[u8]) -> Option<HttpResponse> {
    let mut child = command.spawn().ok()?;
    let mut input = child.stdin.take()?;
    let feeding = async {
        let _ended_early = input.write_all(body).await;
        drop(input);
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), feeding);
    let output = output.ok()?.stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, rest) = output.split_at_checked(end + 4)?;
    let mut response = HttpResponse::Ok();
    for line in std::str::from_utf8(head).ok()?.lines() {
        match line.split_once(": ") {
            Some(("Status", status)) => {
                let code = status.split(' ').next()?.parse().ok()?;
                response.status(StatusCode::from_u16(code).ok()?);
            }
            Some(header) => {
                response.insert_header(header);
            }
            None => {}
        }
    }
    Some(response.body(rest.to_vec()))
}
