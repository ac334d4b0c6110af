//! Runs the project service by itself.

fn main() -> std::process::ExitCode {
    chassis::run(slipway_project::service())
}
