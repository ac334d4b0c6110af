use std::os::unix::fs::symlink;

use actix_web::http::{StatusCode, header};
use actix_web::{App, test};
use slipway_provisioner::local::static_site::StaticSite;

/// A site with a secret beside it.
fn site() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    std::fs::write(root.join("secret.txt"), "canary").unwrap();
    for (path, content) in [
        ("index.html", "<h1>home</h1>"),
        ("404.html", "<h1>gone</h1>"),
        ("docs/index.html", "<h1>docs</h1>"),
        ("style.css", "body{}"),
        ("app.js", "1"),
        ("logo.svg", "<svg/>"),
        ("a file.txt", "spaces"),
        (".env", "canary"),
        (".git/config", "canary"),
        (".well-known/security.txt", "contact"),
    ] {
        let file = root.join("site").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }
    symlink("../secret.txt", root.join("site/relative-escape")).unwrap();
    symlink("/etc/passwd", root.join("site/absolute-escape")).unwrap();
    symlink("..", root.join("site/up")).unwrap();
    symlink("style.css", root.join("site/inside.css")).unwrap();
    directory
}

struct Answer {
    status: StatusCode,
    headers: header::HeaderMap,
    body: String,
}

async fn ask(
    directory: &tempfile::TempDir,
    single_page: bool,
    request: test::TestRequest,
) -> Answer {
    let site = StaticSite::open(&directory.path().join("site"), single_page).unwrap();
    let app = test::init_service(App::new().configure(|config| site.configure(config))).await;
    let response = test::call_service(&app, request.to_request()).await;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = String::from_utf8(test::read_body(response).await.to_vec()).unwrap();
    Answer {
        status,
        headers,
        body,
    }
}

async fn get(directory: &tempfile::TempDir, path: &str) -> Answer {
    ask(directory, false, test::TestRequest::get().uri(path)).await
}

#[actix_web::test]
async fn files_are_served_with_their_types() {
    let site = site();
    for (path, body, kind) in [
        ("/", "<h1>home</h1>", "text/html; charset=utf-8"),
        ("/index.html", "<h1>home</h1>", "text/html; charset=utf-8"),
        ("/docs/", "<h1>docs</h1>", "text/html; charset=utf-8"),
        ("/style.css", "body{}", "text/css; charset=utf-8"),
        ("/app.js", "1", "text/javascript"),
        ("/logo.svg", "<svg/>", "image/svg+xml"),
        ("/a%20file.txt", "spaces", "text/plain; charset=utf-8"),
        ("/inside.css", "body{}", "text/css; charset=utf-8"),
        (
            "/.well-known/security.txt",
            "contact",
            "text/plain; charset=utf-8",
        ),
    ] {
        let answer = get(&site, path).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (StatusCode::OK, body),
            "{path}"
        );
        assert_eq!(
            answer.headers.get(header::CONTENT_TYPE).unwrap(),
            kind,
            "{path}"
        );
        assert!(
            answer.headers.contains_key(header::ETAG)
                && answer.headers.contains_key(header::LAST_MODIFIED)
        );
    }
}

#[actix_web::test]
async fn no_path_leads_out_of_the_site_or_to_a_hidden_file() {
    let site = site();
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/docs/../../secret.txt",
        "//../secret.txt",
        "/..%5csecret.txt",
        "/%00",
        "/%ff",
        "/relative-escape",
        "/absolute-escape",
        "/up/secret.txt",
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/docs/.well-known/x",
    ] {
        let answer = get(&site, path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(
            !answer.body.contains("canary") && !answer.body.contains("root:"),
            "{path}: {}",
            answer.body
        );
    }
}

#[actix_web::test]
async fn an_unknown_path_gets_the_sites_own_page_or_the_app() {
    let site = site();
    let answer = get(&site, "/nothing").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::NOT_FOUND, "<h1>gone</h1>")
    );
    let app = ask(&site, true, test::TestRequest::get().uri("/cart/3")).await;
    assert_eq!(
        (app.status, app.body.as_str()),
        (StatusCode::OK, "<h1>home</h1>")
    );
    let asset = ask(&site, true, test::TestRequest::get().uri("/missing.js")).await;
    assert_eq!(asset.status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn a_directory_is_redirected_to_itself_and_never_to_another_host() {
    let site = site();
    let answer = get(&site, "/docs?a=1").await;
    assert_eq!(answer.status, StatusCode::PERMANENT_REDIRECT);
    assert_eq!(answer.headers.get(header::LOCATION).unwrap(), "/docs/?a=1");
    let answer = get(&site, "//docs").await;
    assert_eq!(answer.headers.get(header::LOCATION).unwrap(), "/docs/");
}

#[actix_web::test]
async fn what_the_browser_has_is_not_sent_again_and_parts_can_be_asked_for() {
    let site = site();
    let tag = get(&site, "/style.css")
        .await
        .headers
        .get(header::ETAG)
        .unwrap()
        .clone();
    let request = test::TestRequest::get()
        .uri("/style.css")
        .insert_header((header::IF_NONE_MATCH, tag));
    assert_eq!(
        ask(&site, false, request).await.status,
        StatusCode::NOT_MODIFIED
    );
    let part = test::TestRequest::get()
        .uri("/style.css")
        .insert_header((header::RANGE, "bytes=0-3"));
    let part = ask(&site, false, part).await;
    assert_eq!(
        (part.status, part.body.as_str()),
        (StatusCode::PARTIAL_CONTENT, "body")
    );
}

#[actix_web::test]
async fn only_reading_is_possible() {
    let site = site();
    let answer = ask(&site, false, test::TestRequest::post().uri("/")).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    let head = ask(
        &site,
        false,
        test::TestRequest::with_uri("/").method(actix_web::http::Method::HEAD),
    )
    .await;
    assert_eq!(head.status, StatusCode::OK);
}
