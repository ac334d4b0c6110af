//! The account service as a program of its own.

fn main() -> std::process::ExitCode {
    chassis::run(slipway_account::service())
}
