//! Runs the github service by itself.

fn main() -> std::process::ExitCode {
    chassis::run(slipway_github::service())
}
