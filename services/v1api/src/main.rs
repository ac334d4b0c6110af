//! Runs the gateway by itself.

fn main() -> std::process::ExitCode {
    chassis::run(slipway_v1api::service())
}
