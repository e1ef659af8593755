//! Every CI job and every build step of Vereda as one command: `cargo xtask --help`.
//!
//! Progress goes to standard error, so that standard output carries only what a program would read.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod cargo;
mod demo;
mod lint;
mod programs;
mod progress;
mod setup;
mod test;
mod tidy;

/// Builds, checks, tests and shows Vereda.
///
/// Exit codes: 0 all is well, 1 something that was checked does not hold, 2 the command could not be carried out.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true, max_term_width = 120)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Demo),
    Test(test::Test),
    Lint(lint::Lint),
    Tidy(tidy::Tidy),
    Bench(programs::Bench),
    Simulate(programs::Simulate),
    Vectors(programs::Vectors),
}

/// Whether what was checked holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Holds,
    Broken,
}

impl Outcome {
    /// Combines two outcomes: both must hold.
    fn and(self, other: Self) -> Self {
        if self == Self::Holds { other } else { self }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let watch = progress::Stopwatch::start();
    let result = match arguments.command {
        Command::Demo(demo) => demo.run(),
        Command::Test(test) => test.run(),
        Command::Lint(lint) => lint.run(),
        Command::Tidy(tidy) => tidy.run(),
        Command::Bench(bench) => bench.run(),
        Command::Simulate(simulate) => simulate.run(),
        Command::Vectors(vectors) => vectors.run(),
    };
    match result {
        Ok(Outcome::Holds) => {
            progress::say(&format!("done, total time {}", watch.spent()));
            ExitCode::SUCCESS
        }
        Ok(Outcome::Broken) => {
            progress::say(&format!("FAILED, total time {}", watch.spent()));
            ExitCode::from(1)
        }
        Err(error) => {
            progress::say(&format!("could not be carried out: {error:#}"));
            progress::say(&format!("FAILED, total time {}", watch.spent()));
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_has_help_with_examples() {
        let mut root = Arguments::command();
        root.build();
        for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Examples:"), "{} shows no examples", command.get_name());
            assert!(help.contains("cargo xtask"), "{} shows no command line", command.get_name());
        }
    }

    #[test]
    fn the_argument_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn one_broken_part_breaks_the_whole() {
        assert_eq!(Outcome::Holds.and(Outcome::Holds), Outcome::Holds);
        assert_eq!(Outcome::Holds.and(Outcome::Broken), Outcome::Broken);
        assert_eq!(Outcome::Broken.and(Outcome::Holds), Outcome::Broken);
    }
}
