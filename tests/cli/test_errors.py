"""What a command says that cannot do what it was asked."""

import pytest
import typer

from friendli_endpoint.cli.errors import exit_with_error, print_error


def test_a_reason_is_one_line_on_standard_error_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reason = "there is no [red]model[/] 'a' :mine: " + "in this folder " * 30
    print_error(reason)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"friendli-endpoint: {reason}\n")


def test_a_command_that_refuses_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left:
        exit_with_error("why")
    assert left.value.exit_code == 2
    assert capsys.readouterr().err == "friendli-endpoint: why\n"
