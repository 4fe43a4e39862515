import pytest

from boards.board import Command
from gen.toolrun import ToolError, run_tool
from hw.errors import UserError


def command(script: str, advice: str = "") -> Command:
    return Command(purpose="place and route", tool="sh", arguments=("-c", script), log="log", advice=advice)


def test_the_output_of_a_tool_goes_to_its_log(tmp_path):
    run_tool(command("echo placed; echo routed >&2"), tmp_path)
    assert (tmp_path / "log").read_text() == "placed\nrouted\n"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo ERROR: too slow; echo goodbye; exit 3", "exit code 3): ERROR: too slow"),
        ("echo out of memory; exit 1", "exit code 1): out of memory"),
        ("exit 9", "exit code 9): no output"),
    ],
)
def test_a_failure_is_its_last_words_and_the_way_out(tmp_path, script, said):
    for advice, end in (("", ""), ("ask for less", "; ask for less")):
        with pytest.raises(ToolError) as error:
            run_tool(command(script, advice), tmp_path)
        assert str(error.value) == f"place and route failed (sh, {said}; see {tmp_path}/log{end}"


def test_a_missing_tool_is_named(tmp_path):
    with pytest.raises(UserError, match="no_such_tool is not installed"):
        run_tool(Command(purpose="x", tool="no_such_tool", arguments=(), log="log"), tmp_path)
