//! Says who calls.
//!
//! ```console
//! $ cargo run -p slipway-forward --example whoami -- http://localhost:8080 whoami
//! $ curl -X POST localhost:8080/v1/services -H "authorization: Bearer $ADMIN" -H 'content-type: application/json' \
//!     -d '{"name":"whoami","upstream":"http://127.0.0.1:3000"}'
//! $ curl localhost:8080/v1/whoami/ -H "authorization: Bearer $KEY"
//! ```

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use slipway_forward::{ForwardedCaller, Gateway, Verb, require};

async fn who(caller: ForwardedCaller) -> String {
    let by = caller.key.as_deref().unwrap_or("no key");
    let what = if caller.may(Verb::Write) {
        "change"
    } else {
        "look"
    };
    format!("{} by {by}, to {what}\n", caller.subject)
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let gateway = arguments
        .next()
        .ok_or("the gateway's address comes first")?;
    let service = arguments.next().ok_or("then the service's name")?;
    let gateway = Gateway::new(&gateway.parse()?, &service)?;
    HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(gateway.clone()))
            .wrap(from_fn(require))
            .default_service(web::to(who))
    })
    .bind(("127.0.0.1", 3000))?
    .run()
    .await?;
    Ok(())
}
