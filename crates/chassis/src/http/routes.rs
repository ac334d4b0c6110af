//! The table of a service's routes.
//!
//! Routes are registered through it, so that what it lists is what is served: the tests of
//! authorisation and of the API documents read it from the running service.

use std::collections::BTreeMap;

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpRequest, Responder, Route, web};
use common::problem::Problem;
use serde::{Deserialize, Serialize};

use super::{ApiError, operations};

/// One route, as the service lists it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteInfo {
    /// The method, or `*`.
    pub method: String,
    /// The path with its parameters in braces.
    pub path: String,
    /// Whether it is on the private listener.
    pub private: bool,
}

/// Collects routes; a path's other methods are answered with 405 and what is allowed.
#[derive(Default)]
pub struct Routes {
    public: BTreeMap<String, Vec<(Option<Method>, Route)>>,
    private: BTreeMap<String, Vec<(Option<Method>, Route)>>,
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

macro_rules! verbs {
    ($($verb:ident, $internal:ident = $method:ident;)+) => {$(
        #[doc = concat!("A `", stringify!($method), "` route behind the gateway.")]
        pub fn $verb<F, Args>(&mut self, path: &str, handler: F)
        where
            F: Handler<Args>,
            Args: FromRequest + 'static,
            F::Output: Responder + 'static,
        {
            add(&mut self.public, Some(Method::$method), path, web::method(Method::$method).to(handler));
        }

        #[doc = concat!("A `", stringify!($method), "` route for other services only.")]
        pub fn $internal<F, Args>(&mut self, path: &str, handler: F)
        where
            F: Handler<Args>,
            Args: FromRequest + 'static,
            F::Output: Responder + 'static,
        {
            add(&mut self.private, Some(Method::$method), path, web::method(Method::$method).to(handler));
        }
    )+};
}

impl Routes {
    verbs! {
        get, internal_get = GET;
        post, internal_post = POST;
        put, internal_put = PUT;
        patch, internal_patch = PATCH;
        delete, internal_delete = DELETE;
    }

    /// A route for every method.
    pub fn any<F, Args>(&mut self, path: &str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        add(&mut self.public, None, path, web::route().to(handler));
    }

    /// A private route for every method.
    pub fn internal_any<F, Args>(&mut self, path: &str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        add(&mut self.private, None, path, web::route().to(handler));
    }

    /// All that a service serves: its own routes, and those that every service has.
    pub(crate) fn of(define: &(dyn Fn(&mut Self) + Send + Sync)) -> Self {
        let mut table = Self::default();
        define(&mut table);
        operations::routes(&mut table);
        table
    }

    /// Every route.
    #[must_use]
    pub fn list(&self) -> Vec<RouteInfo> {
        let of = |routes: &BTreeMap<String, Vec<(Option<Method>, Route)>>, private| {
            routes
                .iter()
                .flat_map(|(path, routes)| {
                    routes.iter().map(move |(method, _)| RouteInfo {
                        method: method.as_ref().map_or("*", Method::as_str).to_owned(),
                        path: path.clone(),
                        private,
                    })
                })
                .collect::<Vec<_>>()
        };
        let mut all = of(&self.public, false);
        all.extend(of(&self.private, true));
        all
    }

    /// Registers the routes of one listener.
    pub(crate) fn register(self, private: bool, app: &mut web::ServiceConfig) {
        // Longer first: a fixed segment goes before a parameter in the same place.
        let routes = if private { self.private } else { self.public };
        let mut paths: Vec<_> = routes.into_iter().collect();
        paths.sort_by_key(|(path, _)| specificity(path));
        for (path, routes) in paths {
            let allow: Vec<_> = routes
                .iter()
                .filter_map(|(method, _)| method.clone())
                .collect();
            let mut resource = web::resource(path);
            for (_, route) in routes {
                resource = resource.route(route);
            }
            app.service(
                resource.default_service(web::to(move |request: HttpRequest| {
                    std::future::ready(Err::<actix_web::HttpResponse, _>(not_allowed(
                        &request, &allow,
                    )))
                })),
            );
        }
    }
}

/// Sorts fixed segments before parameters, and parameters before tails.
fn specificity(path: &str) -> Vec<(u8, String)> {
    path.split('/')
        .map(|segment| {
            let rank = if segment.contains(":.*") {
                2
            } else {
                u8::from(segment.starts_with('{'))
            };
            (rank, segment.to_owned())
        })
        .collect()
}

fn add(
    routes: &mut BTreeMap<String, Vec<(Option<Method>, Route)>>,
    method: Option<Method>,
    path: &str,
    route: Route,
) {
    routes
        .entry(path.to_owned())
        .or_default()
        .push((method, route));
}

fn not_allowed(request: &HttpRequest, allow: &[Method]) -> ApiError {
    let allow = allow
        .iter()
        .map(Method::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let detail = format!("{} is not possible here, only {allow}", request.method());
    let mut problem = Problem::new(405, "method_not_allowed", detail);
    problem.allow = Some(allow);
    problem.into()
}

/// Where no route is.
pub(crate) async fn not_found(request: HttpRequest) -> Result<actix_web::HttpResponse, ApiError> {
    Err(Problem::not_found(&format!("route: {} {}", request.method(), request.path())).into())
}
