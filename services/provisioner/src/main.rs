//! The provisioner as a program of its own. It is also the file server of the static sites that it runs:
//! `slipway-provisioner __static DIR --port N [--single-page]`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some("__static") {
        return match slipway_provisioner::local::static_site::serve_arguments(words) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                // It is the output of the app, and so its log.
                let _unseen = std::io::Write::write_all(
                    &mut std::io::stderr(),
                    format!("{error}\n").as_bytes(),
                );
                ExitCode::FAILURE
            }
        };
    }
    chassis::run(slipway_provisioner::service())
}
