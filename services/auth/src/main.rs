//! The auth service as a program of its own.

fn main() -> std::process::ExitCode {
    chassis::run(slipway_auth::service())
}
