"""Runs the command line in the process of the test."""

from typer.testing import CliRunner, Result

from friendli_endpoint.cli import app


def run(*arguments: str, typed: str | None = None, **variables: str) -> Result:
    """Returns the output and exit code of a command; `typed` is its standard input, a pipe."""
    result = CliRunner().invoke(app, arguments, input=typed, env=variables)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def sentence(result: Result) -> str:
    """Returns the one-line error of a command that exited with 2, without the program's name."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    name, _, rest = line.partition(": ")
    assert name == "friendli-endpoint"
    return rest
