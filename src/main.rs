//! The command `fuseline`.

fn main() -> std::process::ExitCode {
    fuseline::cli::main()
}
