"""Errors of commands."""

import pytest
import typer

from friendli_endpoint.cli.errors import exit_with_error, print_error


def test_an_error_is_one_unformatted_line_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reason = "there is no [red]model[/] 'a' :mine: " + "in this folder " * 30
    print_error(reason)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"friendli-endpoint: {reason}\n")


def test_an_error_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left:
        exit_with_error("why")
    assert left.value.exit_code == 2
    assert capsys.readouterr().err == "friendli-endpoint: why\n"
