//! A file server for static sites: one directory, read only.
//!
//! It runs as a process of its own, like any app: `slipway __static DIR --port N [--single-page]`.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use actix_files::NamedFile;
use actix_web::http::{Method, StatusCode, header};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

/// A directory that is served.
#[derive(Clone, Debug)]
pub struct StaticSite {
    root: Arc<File>,
    path: PathBuf,
    single_page: bool,
}

/// Serves `directory` on the loopback port until asked to end (SIGTERM).
pub fn serve(directory: &Path, port: u16, single_page: bool) -> io::Result<()> {
    let site = StaticSite::open(directory, single_page)?;
    actix_web::rt::System::new().block_on(async move {
        let app = move || App::new().configure(|config| site.configure(config));
        HttpServer::new(app)
            .workers(1)
            // Head and body are written apart: without this the body waits for the client's delayed
            // acknowledgement, 40 ms.
            .tcp_nodelay(true)
            .bind((Ipv4Addr::LOCALHOST, port))?
            .run()
            .await
    })
}

/// Serves as the words after the hidden subcommand say: `DIR --port N [--single-page]`.
pub fn serve_arguments(words: impl IntoIterator<Item = String>) -> io::Result<()> {
    let usage = || {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "expected DIR --port N [--single-page]",
        )
    };
    let mut words = words.into_iter();
    let directory = words.next().ok_or_else(usage)?;
    let (mut port, mut single_page) = (None, false);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--port" => port = words.next().and_then(|number| number.parse().ok()),
            "--single-page" => single_page = true,
            _ => return Err(usage()),
        }
    }
    serve(Path::new(&directory), port.ok_or_else(usage)?, single_page)
}

impl StaticSite {
    /// Opens the directory. Whatever it is renamed to later, this one is served.
    pub fn open(directory: &Path, single_page: bool) -> io::Result<Self> {
        let path = directory.canonicalize()?;
        Ok(Self {
            root: Arc::new(File::open(&path)?),
            path,
            single_page,
        })
    }

    /// Has an app answer every request from the directory.
    pub fn configure(&self, config: &mut web::ServiceConfig) {
        config
            .app_data(web::Data::new(self.clone()))
            .default_service(web::to(answer));
    }

    /// The file to answer a path with, and whether it is the one asked for.
    fn find(&self, path: &Path) -> Found {
        if let Some((file, name)) = self
            .open_file(path)
            .or_else(|| self.open_file(&path.join("index.html")))
        {
            return Found::File(file, name);
        }
        if self.single_page
            && path.extension().is_none()
            && let Some((file, name)) = self.open_file(Path::new("index.html"))
        {
            return Found::File(file, name);
        }
        self.open_file(Path::new("404.html"))
            .map_or(Found::Nothing, |(file, name)| {
                Found::NotFoundPage(file, name)
            })
    }

    /// Opens a regular file below the directory; a link may lead only to another place below it.
    fn open_file(&self, path: &Path) -> Option<(File, PathBuf)> {
        let file = match openat2(
            self.root.as_ref(),
            path,
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
        ) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => self.open_checked(path)?,
            Err(_) => return None,
        };
        file.metadata()
            .ok()?
            .is_file()
            .then(|| (file, path.to_path_buf()))
    }

    /// For kernels that can't look the path up safely by themselves.
    fn open_checked(&self, path: &Path) -> Option<File> {
        let real = self.path.join(path).canonicalize().ok()?;
        real.starts_with(&self.path)
            .then(|| File::open(real).ok())?
    }
}

enum Found {
    File(File, PathBuf),
    NotFoundPage(File, PathBuf),
    Nothing,
}

async fn answer(site: web::Data<StaticSite>, request: HttpRequest) -> HttpResponse {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return HttpResponse::MethodNotAllowed()
            .insert_header((header::ALLOW, "GET, HEAD"))
            .finish();
    }
    let Some(path) = safe_path(request.uri().path()) else {
        return HttpResponse::NotFound().finish();
    };
    let directory = path.clone();
    let found = web::block({
        let site = site.clone();
        move || site.find(&path)
    })
    .await;
    match found {
        Ok(Found::File(_, name)) if is_directory_without_slash(&request, &directory, &name) => {
            to_directory(&request)
        }
        Ok(Found::File(file, name)) => respond(&request, file, &name, StatusCode::OK),
        Ok(Found::NotFoundPage(file, name)) => {
            respond(&request, file, &name, StatusCode::NOT_FOUND)
        }
        Ok(Found::Nothing) => HttpResponse::NotFound()
            .content_type("text/plain; charset=utf-8")
            .body("Not found\n"),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

/// `/docs` for `docs/index.html`: relative links in the page would lead elsewhere.
fn is_directory_without_slash(request: &HttpRequest, asked: &Path, name: &Path) -> bool {
    name == asked.join("index.html") && !request.uri().path().ends_with('/')
}

fn to_directory(request: &HttpRequest) -> HttpResponse {
    let query = request
        .uri()
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    // Leading slashes are made one: `//host/` would lead to another host.
    let path = request.uri().path().trim_start_matches('/');
    HttpResponse::PermanentRedirect()
        .insert_header((header::LOCATION, format!("/{path}/{query}")))
        .finish()
}

/// The path below the directory that a request path means; `None` for one that is not served:
/// a dot in front of any part, an encoded slash, a zero byte, anything but UTF-8.
fn safe_path(request_path: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in request_path.split('/').filter(|part| !part.is_empty()) {
        let part = percent_encoding::percent_decode_str(part)
            .decode_utf8()
            .ok()?;
        let hidden =
            part.starts_with('.') && !(part == ".well-known" && path.as_os_str().is_empty());
        if hidden || part.contains(['/', '\\', '\0']) {
            return None;
        }
        path.push(part.as_ref());
    }
    path.components()
        .all(|component| matches!(component, Component::Normal(_)))
        .then_some(path)
}

fn respond(request: &HttpRequest, file: File, name: &Path, status: StatusCode) -> HttpResponse {
    let Ok(named) = NamedFile::from_file(file, name) else {
        return HttpResponse::NotFound().finish();
    };
    let mut named = named.prefer_utf8(true).disable_content_disposition();
    if status != StatusCode::OK {
        // What says that the page isn't there must not be answered with "not modified".
        named = named.use_etag(false).use_last_modified(false);
    }
    let mut response = named.into_response(request);
    if status != StatusCode::OK {
        *response.status_mut() = status;
    }
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        header::HeaderValue::from_static("nosniff"),
    );
    response
}
